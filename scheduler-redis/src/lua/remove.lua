-- Removes a job if it still is as it was read.
-- KEYS: due fired versions busy old finished gone parked resume requests replies history lines packed events
--   openings cancelled, then the job
-- ARGV: request, job, version, due or "", first and last of the skipped fire times or "" and "",
--   records of these (one a line), first fire time that stays unsettled or ""
-- Answers: the removed version, or "conflict". The same request asked again: the same.
local request, job, version = ARGV[1], ARGV[2], ARGV[3]
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local due = redis.call('ZSCORE', K.due, job)
local fired = tonumber(redis.call('HGET', K.fired, job) or '')
local pending = due or redis.call('HGET', KEYS[TAIL + 1], 'paused_from')
local same_due = due and tonumber(due) == tonumber(ARGV[4]) or (not due and ARGV[4] == '')
reply = version
if redis.call('HGET', K.versions, job) ~= version or not same_due
  or not keeps_pending(pending, '', ARGV[5], t) or (tonumber(ARGV[8]) or math.huge) <= t then
  reply = 'conflict'
end
local lines = {}
for line in string.gmatch(ARGV[7], '[^\n]+') do
  lines[#lines + 1] = line
end
local runs = redis.call('HGET', K.busy, job)
local record = runs and redis.call('HGET', KEYS[TAIL + 1], 'record')
-- Runs that are lined up end with their job.
local lined_up, left = {}, {}
if count_lined_up(runs) > 0 then
  local queue = redis.call('HGET', KEYS[TAIL + 1], 'queue') or 'default'
  for word in string.gmatch(runs, '%S+') do
    if string.sub(word, 1, 1) == '~' then
      lined_up[#lined_up + 1] = job .. string.sub(word, 2)
      lines[#lines + 1] = '{"run":' .. cjson.encode(job .. string.sub(word, 2))
        .. ',"outcome":"removed","attempt":1,"queue":' .. cjson.encode(queue)
        .. ',"detail":"the job was removed before the run was begun"}'
    else
      left[#left + 1] = word
    end
  end
end
left = table.concat(left, ' ')
if reply ~= 'conflict' then
  redis.call('UNLINK', KEYS[TAIL + 1])
  redis.call('HDEL', K.versions, job)
  redis.call('ZREM', K.due, job)
  redis.call('ZREM', K.finished, job)
  redis.call('ZREM', K.parked, job)
  redis.call('ZREM', K.resume, job)
  redis.call('ZREM', K.openings, job)
  if #lined_up > 0 then
    variadic('HDEL', K.cancelled, lined_up, 1)
    if left ~= '' then
      redis.call('HSET', K.busy, job, left)
    else
      redis.call('HDEL', K.busy, job)
    end
  end
  redis.call('ZADD', K.gone, int(t), job)
  if record then
    redis.call('HSET', K.old, version .. ' ' .. job, record)
  end
  if ARGV[6] ~= '' and tonumber(ARGV[6]) > (fired or -math.huge) then
    redis.call('HSET', K.fired, job, ARGV[6])
  end
  write_history(lines, t)
end
redis.call('HSET', K.replies, request, reply)
redis.call('ZADD', K.requests, int(t), request)
return reply
