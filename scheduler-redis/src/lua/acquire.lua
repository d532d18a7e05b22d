-- Takes the lease: a free one, or early from a holder that stood still.
-- KEYS: leader beat due seq nodes ranks steals
-- ARGV: session, ttl ms, floor, token to take it from or "", beat that stood still
-- Answers: {"acquired" | "held", token}; or {"gone"}. Asked again by its holder: the same token.
local session, ttl, from = ARGV[1], tonumber(ARGV[2]), ARGV[4]
if not redis.call('ZSCORE', K.nodes, session) then
  return { 'gone' }
end
local t = now()
local token = held_lease()
if token then
  if string.sub(token, 1, #session + 1) == session .. ' ' then
    renew_lease(ttl)
    return { 'acquired', token }
  end
  -- Progress decides, never lateness: the token and the beat are those that stood still, and
  -- something is due that only a leader can settle.
  local head = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
  if token ~= from or (redis.call('GET', K.beat) or '0') ~= ARGV[5] or not head[2]
    or tonumber(head[2]) > t then
    return { 'held', token }
  end
  -- Against thrashing: the more steals in the last minute, the longer a new leader is left alone.
  -- A `since` that lies ahead comes from a clock that went back, and protects nobody.
  local steals = redis.call('ZCOUNT', K.steals, '(' .. int(t - 60000), int(t))
  local tenure = math.min(ttl, 1000 * 2 ^ math.min(steals, 20))
  local led_for = t - tonumber(string.match(token, '(%d+)$'))
  if led_for >= 0 and led_for < tenure then
    return { 'held', token }
  end
end
local epoch = take_numbers(1, tonumber(ARGV[3]))
local mine = session .. ' ' .. int(epoch) .. ' ' .. int(t)
grant_lease(mine, ttl)
redis.call('INCR', K.beat)
if token then
  redis.call('ZREMRANGEBYSCORE', K.steals, '-inf', int(t - 60000))
  redis.call('ZADD', K.steals, int(t), int(epoch))
  -- The deposed leader stands last in line.
  redis.call('ZADD', K.ranks, 'XX', int(epoch), string.match(token, '^%S+'))
end
return { 'acquired', mine }
