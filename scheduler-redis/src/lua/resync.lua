-- All claims of a session; voids earlier requests of the lane.
-- KEYS: nodes session claims meta
-- ARGV: session, lane, request, generation
-- Answers: {run, claim, ...}; or "gone"; or "superseded"; or "behind". Asked again: the claims as they are then.
local lane, request = ARGV[2], tonumber(ARGV[3])
if not takes_part(ARGV[4]) then
  return 'behind'
end
if not redis.call('ZSCORE', K.nodes, ARGV[1]) then
  return 'gone'
end
local last = redis.call('HMGET', K.session, 'request:' .. lane, 'reply:' .. lane)
local before = tonumber(last[1] or '0')
if before > request or (before == request and last[2]) then
  return 'superseded'
end
if before < request then
  go_on_when_full(K.nodes)
  redis.call('HDEL', K.session, 'reply:' .. lane)
  redis.call('HSET', K.session, 'request:' .. lane, ARGV[3])
end
return redis.call('HGETALL', K.claims)
