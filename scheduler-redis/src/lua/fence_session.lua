-- Declares a session dead if its beat still is the one seen.
-- KEYS: nodes beats ranks dead
-- ARGV: session, beat
-- Answers: "fenced", "alive" or "unknown". Asked again: "fenced".
local session = ARGV[1]
if redis.call('ZSCORE', K.dead, session) then
  return 'fenced'
end
if not redis.call('ZSCORE', K.nodes, session) then
  return 'unknown'
end
local beat = redis.call('HGET', K.beats, session)
if beat and string.match(beat, '^%d+') ~= ARGV[2] then
  return 'alive'
end
local t = now()
redis.call('ZREM', K.nodes, session)
redis.call('HDEL', K.beats, session)
redis.call('ZREM', K.ranks, session)
redis.call('ZADD', K.dead, int(t), session)
return 'fenced'
