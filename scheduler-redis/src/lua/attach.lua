-- Takes note of the server that the shard is on. On another one than before, or where nobody knows, what
-- was written last may be lost: a new generation begins, and nobody leads or claims for a grace.
-- KEYS: meta leader nodes seq awaited
-- ARGV: run id of the server, or "" where it does not tell; grace ms; highest generation that the caller
--   has seen, or 0
-- Answers: {generation, how long until it is ready in ms, 1 where this call began it}. Asked again: the
--   same, and nothing happens.
local KEPT, MOST_AWAITED = 16, 1000
-- `scheduler_core::failover::leap` is the rule, and says why.
local LEAP, LEAP_PER_MS = 1000000, 50
local meta = redis.call('HMGET', K.meta, 'generation', 'server', 'ready_at', 'grace', 'from')
local t = now()
if meta[1] and (ARGV[1] == '' or meta[2] == ARGV[1]) then
  return { tonumber(meta[1]), grace_left(meta[3], meta[4], t), 0 }
end
local seq, seen = redis.call('GET', K.seq), tonumber(ARGV[3])
local sessions = redis.call('ZCARD', K.nodes)
local awaited = {}
if sessions <= MOST_AWAITED then
  awaited = redis.call('ZRANGE', K.nodes, 0, -1)
end
-- A shard that nobody has seen before has lost nothing. Any other goes on with a number that nobody knows:
-- counting on would give one twice where a server is gone that had begun one, and this one and the caller
-- never heard of that.
local grace, generation, from = 0, 1, 0
if meta[1] or seq or seen > 0 then
  grace, generation = tonumber(ARGV[2]), math.max(t, (tonumber(meta[1]) or 0) + 1, seen + 1)
  from = math.max((tonumber(seq) or 0) + LEAP, t * LEAP_PER_MS)
end
local began = {}
for _, field in ipairs(redis.call('HGETALL', K.meta)) do
  began[#began + 1] = tonumber(string.match(field, '^lost_after:(%d+)$'))
end
table.sort(began)

go_on_when_full(K.nodes)
redis.call('DEL', K.leader)
redis.call('DEL', K.awaited)
for i = 1, #began - KEPT + 1 do
  redis.call('HDEL', K.meta, 'lost_after:' .. int(began[i]), 'used:' .. int(began[i]))
end
if meta[5] and meta[5] ~= seq then
  -- Numbers were given out in the generation that ends: whoever missed it is late.
  redis.call('HSET', K.meta, 'used:' .. meta[1], meta[5])
end
redis.call('HSET', K.meta, 'format', 1, 'generation', int(generation), 'server', ARGV[1],
  'ready_at', int(t + grace), 'grace', int(grace), 'lost_after:' .. int(generation), seq or 0,
  'from', int(from))
if from > 0 then
  redis.call('SET', K.seq, int(from))
end
if #awaited > 0 then
  variadic('SADD', K.awaited, awaited, 1)
end
return { generation, grace, 1 }
