-- Writes down how many shards the namespace has, unless that is known.
-- KEYS: meta
-- ARGV: the number
-- Answers: how many it has. Asked again: the same.
local meta = redis.call('HMGET', K.meta, 'shards', 'generation')
if meta[1] then
  return tonumber(meta[1])
end
-- It was used before anything was written down, or by somebody who does not split it.
if meta[2] then
  return 1
end
redis.call('HSET', K.meta, 'shards', int(ARGV[1]))
return tonumber(ARGV[1])
