-- Ends a session in order. With claims left in it, it is dead and will be cleared up after.
-- KEYS: nodes beats ranks dead session claims
-- ARGV: session
-- Answers: 1. Asked again: 1.
local session = ARGV[1]
local deadline = redis.call('ZSCORE', K.nodes, session)
if not deadline then
  return 1
end
redis.call('ZREM', K.nodes, session)
redis.call('HDEL', K.beats, session)
redis.call('ZREM', K.ranks, session)
if redis.call('HLEN', K.claims) > 0 then
  redis.call('ZADD', K.dead, deadline, session)
else
  redis.call('DEL', K.session)
end
return 1
