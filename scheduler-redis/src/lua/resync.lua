-- All claims of a session; voids earlier requests of the lane.
-- KEYS: nodes session claims
-- ARGV: session, lane, request
-- Answers: {run, claim, ...}; or "gone"; or "superseded". Asked again: the claims.
local lane, request = ARGV[2], tonumber(ARGV[3])
if not redis.call('ZSCORE', K.nodes, ARGV[1]) then
  return 'gone'
end
local before = tonumber(redis.call('HGET', K.session, 'request:' .. lane) or '0')
if before > request then
  return 'superseded'
end
if before < request then
  redis.call('HDEL', K.session, 'reply:' .. lane)
  redis.call('HSET', K.session, 'request:' .. lane, ARGV[3])
end
return redis.call('HGETALL', K.claims)
