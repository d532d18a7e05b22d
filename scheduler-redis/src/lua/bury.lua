-- Declares a session dead that holds claims and that the shard does not know; deletes what else is left of it.
-- KEYS: nodes dead session claims
-- ARGV: session
-- Answers: 0 where it is known, 1 where it was deleted, 2 where it is dead now. Asked again: 0.
local session = ARGV[1]
if redis.call('ZSCORE', K.nodes, session) or redis.call('ZSCORE', K.dead, session) then
  return 0
end
local held, t = redis.call('HLEN', K.claims), now()
local left = redis.call('DEL', K.session)
if held > 0 then
  redis.call('ZADD', K.dead, int(t), session)
  return 2
end
return left
