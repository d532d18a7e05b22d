-- Takes the lease: a free one, or early from a holder that stood still or is gone.
-- KEYS: leader beat due seq nodes ranks steals attended alive meta
-- ARGV: session, ttl ms, floor, token to take it from or "", beat that stood still or "gone"
-- Answers: {"acquired" | "held", token}; or {"gone"}; or {"early", ms until the shard is ready}. Asked again by its holder: the same token.

-- Whether the lease may be taken from the holder of `token`, for this proof.
local function may_steal(token, proof, t, ttl)
  -- A `since` that lies ahead comes from a clock that went back, and protects nobody.
  local led_for = t - tonumber(string.match(token, '(%d+)$'))
  if proof == 'gone' then
    -- Once a second at most, should connections be cut again and again.
    return presence(token) == 'gone' and (led_for < 0 or led_for >= math.min(ttl, 1000))
  end
  -- Progress decides, never lateness: the beat is the one that stood still, and something is due
  -- that only a leader can settle.
  local head = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
  if (redis.call('GET', K.beat) or '0') ~= proof or not head[2] or tonumber(head[2]) > t then
    return false
  end
  -- Against thrashing: the more steals in the last minute, the longer a new leader is left alone.
  local steals = redis.call('ZCOUNT', K.steals, '(' .. int(t - 60000), int(t))
  local tenure = math.min(ttl, 1000 * 2 ^ math.min(steals, 20))
  return led_for < 0 or led_for >= tenure
end

local session, ttl, from = ARGV[1], tonumber(ARGV[2]), ARGV[4]
local t = now()
local meta = redis.call('HMGET', K.meta, 'ready_at', 'grace')
if not meta[1] then
  return unattached()
end
local early = grace_left(meta[1], meta[2], t)
if early > 0 then
  -- The session may be one that has not told yet that it lives.
  return { 'early', int(early) }
end
if not redis.call('ZSCORE', K.nodes, session) then
  return { 'gone' }
end
local token = held_lease()
if token then
  if string.sub(token, 1, #session + 1) == session .. ' ' then
    go_on_when_full(K.due)
    renew_lease(ttl)
    return { 'acquired', token }
  end
  if token ~= from or not may_steal(token, ARGV[5], t, ttl) then
    return { 'held', token }
  end
end
go_on_when_full(K.due)
local epoch = take_numbers(1, tonumber(ARGV[3]))
local mine = session .. ' ' .. int(epoch) .. ' ' .. int(t)
grant_lease(mine, ttl)
redis.call('INCR', K.beat)
if token then
  if ARGV[5] ~= 'gone' then
    redis.call('ZREMRANGEBYSCORE', K.steals, '-inf', int(t - 60000))
    redis.call('ZADD', K.steals, int(t), int(epoch))
  end
  -- The deposed leader stands last in line.
  redis.call('ZADD', K.ranks, 'XX', int(epoch), string.match(token, '^%S+'))
end
return { 'acquired', mine }
