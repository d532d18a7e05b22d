-- Forgets failed runs.
-- KEYS: failed failures
-- ARGV: runs (at most 500)
-- Answers: nothing to rely on. Asked again: nothing more happens.
if #ARGV > 0 then
  redis.call('ZREM', K.failed, unpack(ARGV))
  redis.call('HDEL', K.failures, unpack(ARGV))
end
return 1
