-- Sets jobs aside whose record is missing or cannot be read, so that they hold up nobody: those that
-- are due, and those whose pause has ended.
-- KEYS: leader beat due versions fired parked resume history lines packed events
-- ARGV: token, items (at most 500), then per item: job, due (or, of a pause, an instant by
--   which it has ended), version or "", record (one line)
-- Answers: 1; or 0 where the lease was lost. Asked again: nothing more happens.
if held_lease() ~= ARGV[1] then
  return 0
end
local t = now()
local count, FIRST, ARGS = tonumber(ARGV[2]), 3, 4
local jobs, parked, fired, lines, paused = {}, {}, {}, {}, {}
for i = 1, count do
  local at = FIRST + (i - 1) * ARGS
  local job = ARGV[at]
  local score = redis.call('ZSCORE', K.due, job)
  local version = redis.call('HGET', K.versions, job) or ''
  local ended = not score and redis.call('ZSCORE', K.resume, job)
  if ended and tonumber(ended) <= tonumber(ARGV[at + 1]) and version == ARGV[at + 2] then
    -- Which fire times have passed in it nobody knows: none is settled.
    paused[#paused + 1] = job
    parked[#parked + 1] = ended
    parked[#parked + 1] = job
  elseif score and tonumber(score) == tonumber(ARGV[at + 1]) and version == ARGV[at + 2] then
    jobs[#jobs + 1] = job
    parked[#parked + 1] = ARGV[at + 1]
    parked[#parked + 1] = job
    fired[#fired + 1] = job
    fired[#fired + 1] = ARGV[at + 1]
    lines[#lines + 1] = ARGV[at + 3]
  end
end
if #parked > 0 then
  if #jobs > 0 then
    variadic('ZREM', K.due, jobs, 1)
  end
  if #paused > 0 then
    variadic('ZREM', K.resume, paused, 1)
  end
  variadic('ZADD', K.parked, parked, 2)
end
if #fired > 0 then
  variadic('HSET', K.fired, fired, 2)
end
write_history(lines, t)
redis.call('INCR', K.beat)
return 1
