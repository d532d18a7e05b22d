-- Settles claims of a dead session, and forgets it when none is left.
-- KEYS: dead session claims busy cancelled failed failures retry finished history lines packed events
--   gates inuse buckets openings wake-leader restored, then (high, ready, low, wake) of each queue
-- ARGV: session, settled runs (at most 200), then these (see _settle.lua)
-- Answers: claims left. Asked again: what was settled is left alone.
local count = tonumber(ARGV[2])
if not redis.call('ZSCORE', K.dead, ARGV[1]) then
  return 0
end
local t = now()
if count > 0 and redis.call('HLEN', K.restored) > 0 then
  -- A later claim on the run, of a lost tail, is another session's: this one means nothing any more.
  local runs = { unpack(ARGV, 3, 2 + count) }
  local claims = redis.call('HMGET', K.claims, unpack(runs))
  for i, told in ipairs(redis.call('HMGET', K.restored, unpack(runs))) do
    local fence, queue = string.match(claims[i] or '', '^(%d+) %S+ %S+ %S+ (%S+)')
    local highest = string.match(told or '', '^%d+')
    if fence and highest and tonumber(highest) > tonumber(fence) then
      redis.call('HDEL', K.claims, runs[i])
      redis.call('HINCRBY', K.inuse, queue, -1)
    end
  end
end
local s = read_settled(3, count)
local g = read_gates(t, s.freed_of)
write_settled(s, t)
write_busy(s, t)
write_gates(g, t, {}, s.freed_of)
for i = 1, g.count do
  -- What is not limited was waited for by nobody but those who are awake.
  if g.limited[i] then
    local waiting = 0
    for list = 4 * i - 3, 4 * i - 1 do
      waiting = waiting + redis.call('LLEN', list_key(list))
    end
    offer(g, i, waiting)
  end
end
write_records(s, t)
local left = redis.call('HLEN', K.claims)
if left == 0 then
  redis.call('ZREM', K.dead, ARGV[1])
  redis.call('DEL', K.session)
end
return left
