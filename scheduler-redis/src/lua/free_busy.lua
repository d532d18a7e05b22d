-- Frees places of runs that are nowhere, if a job's runs in flight are as they were seen.
-- KEYS: busy finished openings wake-leader
-- ARGV: job, its runs in flight as they were seen, what is left of them or ""
-- Answers: 1, or 0 where they are others by now. Asked again: 0.
local job, left = ARGV[1], ARGV[3]
if redis.call('HGET', K.busy, job) ~= ARGV[2] then
  return 0
end
local t, ends = now(), redis.call('ZSCORE', K.finished, job)
redis.call('ZCARD', K.openings)
redis.call('ZCARD', K['wake-leader'])
if left == '' then
  redis.call('HDEL', K.busy, job)
  if ends then
    redis.call('ZADD', K.finished, int(t), job)
  end
else
  redis.call('HSET', K.busy, job, left)
  if count_lined_up(left) > 0 then
    redis.call('ZADD', K.openings, int(t), job)
    redis.call('ZADD', K['wake-leader'], 0, 1)
  end
end
return 1
