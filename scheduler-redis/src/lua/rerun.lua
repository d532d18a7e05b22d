-- Has failed runs run again, each as a new run that is bound to the definition that it failed with.
-- KEYS: failed failures busy old seq requests replies history lines packed events followers
--   wake-leader, then (high,
--   ready, low, wake) of each queue
-- ARGV: request, items (at most 200), then per item: failed run, job, new run, max instances, list,
--   record
-- Answers: a line per item: "made", "gone", or "full <runs in flight>". The same request asked again:
--   the same.
local request, count = ARGV[1], tonumber(ARGV[2])
local FIRST, ARGS = 3, 6
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local runs, jobs = {}, {}
for i = 1, count do
  runs[i] = ARGV[FIRST + (i - 1) * ARGS]
  jobs[i] = ARGV[FIRST + (i - 1) * ARGS + 1]
end
local kept = count > 0 and redis.call('HMGET', K.failures, unpack(runs)) or {}
local busy, changed = {}, {}
for i, words in ipairs(count > 0 and redis.call('HMGET', K.busy, unpack(jobs)) or {}) do
  busy[jobs[i]] = words
end
local answers, made, lines, ready = {}, {}, {}, {}
redis.call('ZCARD', K.failed)
for i = 1, count do
  local at = FIRST + (i - 1) * ARGS
  local job, new = jobs[i], ARGV[at + 2]
  local in_flight = count_words(busy[job])
  local definition = kept[i] and string.match(kept[i], '^[^\n]*\n(.*)$')
  if not definition then
    answers[i] = 'gone'
  elseif in_flight >= tonumber(ARGV[at + 3]) then
    answers[i] = 'full ' .. in_flight
  else
    answers[i] = 'made'
    made[#made + 1] = { i, new, definition }
    local word = string.sub(new, #job + 1)
    busy[job] = busy[job] and (busy[job] .. ' ' .. word) or word
    changed[job] = true
    lines[#lines + 1] = ARGV[at + 5]
  end
end

-- Growing writes first: on a full Redis it is refused as a whole.
reply = table.concat(answers, '\n')
redis.call('HSET', K.replies, request, reply)
redis.call('ZADD', K.requests, int(t), request)
if #made > 0 then
  local version = take_numbers(#made, 0)
  local over, old, held = {}, {}, {}
  for n, each in ipairs(made) do
    local i, new, definition = unpack(each)
    local number = int(version + n - 1)
    local list = tonumber(ARGV[FIRST + (i - 1) * ARGS + 4])
    ready[list] = ready[list] or {}
    table.insert(ready[list], '1 ' .. number .. ' 0 ' .. new)
    old[#old + 1] = number .. ' ' .. jobs[i]
    old[#old + 1] = definition
    over[n] = runs[i]
  end
  for job in pairs(changed) do
    held[#held + 1] = job
    held[#held + 1] = busy[job]
  end
  variadic('HSET', K.old, old, 2)
  variadic('HSET', K.busy, held, 2)
  for list, texts in pairs(ready) do
    variadic('RPUSH', list_key(list), texts, 1)
    wake(list, #texts)
  end
  redis.call('ZREM', K.failed, unpack(over))
  redis.call('HDEL', K.failures, unpack(over))
  if redis.call('EXISTS', K.followers) == 1 then
    redis.call('ZADD', K['wake-leader'], 0, 1)
  end
  write_history(lines, t)
end
return reply
