-- Declares a session dead if its beat still is the one seen.
-- KEYS: nodes beats ranks dead session claims
-- ARGV: session, beat
-- Answers: "fenced", "alive" or "unknown". Asked again: "fenced", or "unknown" where it held no
--   claims and is forgotten.
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
local deadline = redis.call('ZSCORE', K.nodes, session)
redis.call('ZREM', K.nodes, session)
redis.call('HDEL', K.beats, session)
redis.call('ZREM', K.ranks, session)
if redis.call('HLEN', K.claims) > 0 then
  redis.call('ZADD', K.dead, deadline, session)
else
  redis.call('DEL', K.session)
end
return 'fenced'
