-- Shows that a session lives; never creates one.
-- KEYS: nodes beats session claims cancelled meta
-- ARGV: session, beat, ttl ms, runs being executed, generation
-- Answers: {now, claims held, {run, reason, ...} of those that were cancelled}; or "gone"; or
--   "behind" where the shard is in another generation. Asked again: the same.
local session = ARGV[1]
if not takes_part(ARGV[5]) then
  return 'behind'
end
if not redis.call('ZSCORE', K.nodes, session) then
  return 'gone'
end
local t = now()
-- Few runs are ever cancelled. Where very many are at once, a part of them is told at random.
local cancelled = {}
if redis.call('HLEN', K.cancelled) > 0 then
  local marks = redis.call('HRANDFIELD', K.cancelled, 500, 'WITHVALUES')
  local runs = {}
  for i = 1, #marks, 2 do
    runs[#runs + 1] = marks[i]
  end
  for i, claim in ipairs(redis.call('HMGET', K.claims, unpack(runs))) do
    if claim then
      cancelled[#cancelled + 1] = { marks[2 * i - 1], marks[2 * i] }
    end
  end
end
go_on_when_full(K.nodes)
-- A heartbeat that was overtaken by a later one proves nothing any more.
local before = string.match(redis.call('HGET', K.beats, session) or '0', '^%d+')
if tonumber(ARGV[2]) >= tonumber(before) then
  redis.call('ZADD', K.nodes, 'XX', int(t + tonumber(ARGV[3])), session)
  redis.call('HSET', K.beats, session, ARGV[2] .. ' ' .. ARGV[3])
  redis.call('HSET', K.session, 'running', ARGV[4])
end
return { t, redis.call('HLEN', K.claims), cancelled }
