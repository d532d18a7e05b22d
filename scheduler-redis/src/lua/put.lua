-- Writes jobs, each if it still is as it was read.
-- KEYS: due fired versions busy old finished gone parked resume seq queues requests replies history lines packed
--   events wake-leader openings, then the job of each item
-- ARGV: request, items (at most 200), then per item: job, expected version or "", next due or "",
--   first and last of the skipped fire times or "" and "", records of these (one a line), state,
--   paused from or "", record, name, task, trigger, queue, paused since, until, by and why, each or "", whether
--   it is kept (1 or 0)
-- Answers: one word per item: its new version, or "conflict". The same request asked again: the
--   same words.
local PAUSE = { 'paused_from', 'paused_since', 'paused_until', 'paused_by', 'paused_why' }
local request, count, FIRST, ARGS = ARGV[1], tonumber(ARGV[2]), 3, 18
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local jobs = {}
for i = 1, count do
  jobs[i] = ARGV[FIRST + (i - 1) * ARGS]
end
local versions = redis.call('HMGET', K.versions, unpack(jobs))
local fireds = redis.call('HMGET', K.fired, unpack(jobs))
local busies = redis.call('HMGET', K.busy, unpack(jobs))
local dues = redis.call('ZMSCORE', K.due, unpack(jobs))
local head = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
head = head[2] and tonumber(head[2]) or math.huge

local words, accepted, lines = {}, {}, {}
for i = 1, count do
  local at = FIRST + (i - 1) * ARGS
  local fired = fireds[i] and tonumber(fireds[i])
  -- No due time, and no beginning of a pause, at or before what has been settled.
  local next, from = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 7])
  local settled = tonumber(ARGV[at + 4])
  local pending = dues[i] or redis.call('HGET', KEYS[TAIL + i], 'paused_from')
  local floor = math.max(fired or -math.huge, settled or -math.huge)
  if (versions[i] or '') ~= ARGV[at + 1] or (next and next <= floor) or (from and from <= floor)
    or (settled and fired and settled <= fired)
    or not keeps_pending(pending, next or from, ARGV[at + 3], t) then
    words[i] = 'conflict'
  else
    accepted[#accepted + 1] = i
    for line in string.gmatch(ARGV[at + 5], '[^\n]+') do
      lines[#lines + 1] = line
    end
  end
end
local kept = {}
for _, i in ipairs(accepted) do
  if busies[i] then
    -- Runs in flight keep the definition that they started with.
    local record = redis.call('HGET', KEYS[TAIL + i], 'record')
    if record and versions[i] then
      kept[#kept + 1] = versions[i] .. ' ' .. jobs[i]
      kept[#kept + 1] = record
    end
  end
end

-- Growing writes first: on a full Redis the change is refused as a whole.
redis.call('HSET', K.replies, request, 'conflict')
redis.call('ZADD', K.requests, int(t), request)
if #kept > 0 then
  variadic('HSET', K.old, kept, 2)
end
local version = #accepted > 0 and take_numbers(#accepted, 0)
local earliest, opened = math.huge, false
for n, i in ipairs(accepted) do
  local at = FIRST + (i - 1) * ARGS
  local job, next, from, state = jobs[i], ARGV[at + 2], ARGV[at + 7], ARGV[at + 6]
  words[i] = int(version + n - 1)
  redis.call('HSET', KEYS[TAIL + i], 'version', words[i], 'state', state, 'record', ARGV[at + 8],
    'name', ARGV[at + 9], 'task', ARGV[at + 10], 'trigger', ARGV[at + 11], 'queue', ARGV[at + 12],
    'keep', ARGV[at + 17])
  for n, field in ipairs(PAUSE) do
    local value = n == 1 and from or ARGV[at + 11 + n]
    if value ~= '' then
      redis.call('HSET', KEYS[TAIL + i], field, value)
    else
      redis.call('HDEL', KEYS[TAIL + i], field)
    end
  end
  redis.call('HSET', K.versions, job, words[i])
  redis.call('SADD', K.queues, ARGV[at + 12])
  if ARGV[at + 4] ~= '' then
    redis.call('HSET', K.fired, job, ARGV[at + 4])
  end
  if count_lined_up(busies[i]) > 0 then
    -- It may allow more at once than before.
    redis.call('ZADD', K.openings, int(t), job)
    opened = true
  end
  redis.call('ZREM', K.gone, job)
  redis.call('ZREM', K.parked, job)
  if ARGV[at + 14] ~= '' then
    redis.call('ZADD', K.resume, ARGV[at + 14], job)
  else
    redis.call('ZREM', K.resume, job)
  end
  if next ~= '' then
    redis.call('ZADD', K.due, next, job)
    redis.call('ZREM', K.finished, job)
    earliest = math.min(earliest, tonumber(next))
  else
    redis.call('ZREM', K.due, job)
    if state == 'active' then
      redis.call('ZADD', K.finished, busies[i] and '+inf' or int(t), job)
    else
      redis.call('ZREM', K.finished, job)
    end
  end
end
write_history(lines, t)
if opened or earliest < head then
  redis.call('ZADD', K['wake-leader'], 0, 1)
end
reply = table.concat(words, ' ')
redis.call('HSET', K.replies, request, reply)
return reply
