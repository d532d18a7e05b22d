-- Makes runs that follow ends of others, and moves the cursor through history past these.
-- KEYS: leader beat versions busy followed history lines packed events, then (high, ready, low, wake) of
--   each queue
-- ARGV: token, cursor as it was read or "", cursor as it is then, items (at most 200), then per item:
--   job, version, run or "", list, max instances, how many more may be lined up, record of the skip (in
--   place of the run, or where there is no room for it)
-- Answers: "followed"; "changed" where the cursor stands elsewhere or a job has another version; or
--   "lost". Asked again: "changed".
if held_lease() ~= ARGV[1] then
  return 'lost'
end
local t = now()
local count, FIRST, ARGS = tonumber(ARGV[4]), 5, 7
if (redis.call('GET', K.followed) or '') ~= ARGV[2] then
  return 'changed'
end
local jobs = {}
for i = 1, count do
  jobs[i] = ARGV[FIRST + (i - 1) * ARGS]
end
local versions, busies = {}, {}
if count > 0 then
  versions = redis.call('HMGET', K.versions, unpack(jobs))
  busies = redis.call('HMGET', K.busy, unpack(jobs))
end
local busy, changed, ready, lines = {}, {}, {}, {}
for i, job in ipairs(jobs) do
  if versions[i] ~= ARGV[FIRST + (i - 1) * ARGS + 1] then
    return 'changed'
  end
  busy[job] = busies[i] or nil
end
for i, job in ipairs(jobs) do
  local at = FIRST + (i - 1) * ARGS
  local run, list = ARGV[at + 2], tonumber(ARGV[at + 3])
  local at_once, more = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local in_flight = count_words(busy[job])
  local word = string.sub(run, #job + 1)
  local words = ' ' .. (busy[job] or '') .. ' '
  if run ~= '' and (string.find(words, ' ' .. word .. ' ', 1, true)
    or string.find(words, ' ~' .. word .. ' ', 1, true)) then
    -- It is there.
  elseif run == '' or in_flight >= at_once + more then
    lines[#lines + 1] = ARGV[at + 6]
  else
    if in_flight >= at_once or count_lined_up(busy[job]) > 0 then
      word = '~' .. word
    else
      ready[list] = ready[list] or {}
      table.insert(ready[list], '1 - 0 ' .. run)
    end
    busy[job] = busy[job] and (busy[job] .. ' ' .. word) or word
    changed[job] = true
  end
end
local held = {}
for job in pairs(changed) do
  held[#held + 1] = job
  held[#held + 1] = busy[job]
end

-- Growing writes first: on a full Redis it is refused as a whole.
redis.call('SET', K.followed, ARGV[3])
for list, texts in pairs(ready) do
  variadic('RPUSH', list_key(list), texts, 1)
  wake(list, #texts)
end
if #held > 0 then
  variadic('HSET', K.busy, held, 2)
end
write_history(lines, t)
redis.call('INCR', K.beat)
return 'followed'
