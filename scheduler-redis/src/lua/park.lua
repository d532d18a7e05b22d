-- Sets a due job aside whose record is missing or cannot be read, so that it holds up nobody.
-- KEYS: leader beat due versions parked history lines events
-- ARGV: token, job, due, version or "", record (one line)
-- Answers: 1; or 0 where the lease was lost. Asked again: nothing more happens.
if redis.call('GET', K.leader) ~= ARGV[1] then
  return 0
end
local score = redis.call('ZSCORE', K.due, ARGV[2])
local version = redis.call('HGET', K.versions, ARGV[2]) or ''
if not score or tonumber(score) ~= tonumber(ARGV[3]) or version ~= ARGV[4] then
  return 1
end
redis.call('ZREM', K.due, ARGV[2])
redis.call('ZADD', K.parked, ARGV[3], ARGV[2])
write_history({ ARGV[5] })
redis.call('INCR', K.beat)
return 1
