-- Takes the lease: a free one, or early from a holder that stood still.
-- KEYS: leader beat due seq nodes ranks steals
-- ARGV: session, ttl ms, floor, token to take it from or "", beat that stood still
-- Answers: {"acquired" | "held", token}; or {"gone"}. Asked again by its holder: the same token.
local session, ttl, from = ARGV[1], tonumber(ARGV[2]), ARGV[4]
if not redis.call('ZSCORE', K.nodes, session) then
  return { 'gone' }
end
local t = now()
local token = redis.call('GET', K.leader)
if token then
  if string.sub(token, 1, #session + 1) == session .. ' ' then
    redis.call('PEXPIRE', K.leader, ttl)
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
  local steals = math.min(tonumber(redis.call('GET', K.steals) or '0'), 20)
  local tenure = math.min(ttl, 1000 * 2 ^ steals)
  if t - tonumber(string.match(token, '(%d+)$')) < tenure then
    return { 'held', token }
  end
end
local epoch = take_numbers(1, tonumber(ARGV[3]))
local mine = session .. ' ' .. int(epoch) .. ' ' .. int(t)
redis.call('SET', K.leader, mine, 'PX', ttl)
redis.call('INCR', K.beat)
if token then
  redis.call('INCR', K.steals)
  redis.call('PEXPIRE', K.steals, 60000)
  -- The deposed leader stands last in line.
  redis.call('ZADD', K.ranks, 'XX', int(epoch), string.match(token, '^%S+'))
end
return { 'acquired', mine }
