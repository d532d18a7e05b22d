-- Settles due fire times as planned: the due time moves and the runs appear, in one step per job.
-- KEYS: leader beat due versions fired busy finished history lines packed events
--   gates, then (high, ready, low, wake) of each queue
-- ARGV: token, planned at, greatest age ms, items (at most 500), then per item:
--   job, due, version, next due or "", first and last fire time that it settles, list,
--   max instances, how many more may be lined up, fire times of its runs (blank-separated), records
--   of its skips (one a line)
-- Answers: {} or {index, why, fired, ...} of items that were refused ("changed", "fired", "full");
--   or "lost"; or "stale". Asked again: items that were done are refused.
if held_lease() ~= ARGV[1] then
  return 'lost'
end
local t = now()
local age, oldest = t - tonumber(ARGV[2]), tonumber(ARGV[3])
if age > oldest or age < -oldest then
  return 'stale'
end
local count, FIRST, ARGS = tonumber(ARGV[4]), 5, 11
if count == 0 then
  redis.call('INCR', K.beat)
  return {}
end

local jobs, makes_runs = {}, false
for i = 1, count do
  jobs[i] = ARGV[FIRST + (i - 1) * ARGS]
  makes_runs = makes_runs or ARGV[FIRST + (i - 1) * ARGS + 9] ~= ''
end
if makes_runs and is_paused() then
  -- Planned before the pause began.
  return 'stale'
end
local dues = redis.call('ZMSCORE', K.due, unpack(jobs))
local versions = redis.call('HMGET', K.versions, unpack(jobs))
local fireds = redis.call('HMGET', K.fired, unpack(jobs))
local busies = redis.call('HMGET', K.busy, unpack(jobs))

local refused, lines = {}, {}
local due, over, finished, fired, busy = {}, {}, {}, {}, {}
local ready = {}
for i = 1, count do
  local at = FIRST + (i - 1) * ARGS
  local job, next, settled = ARGV[at], ARGV[at + 3], ARGV[at + 5]
  local list, runs, skips = tonumber(ARGV[at + 6]), ARGV[at + 9], ARGV[at + 10]
  local at_once = tonumber(ARGV[at + 7])
  local fired_to = fireds[i] and tonumber(fireds[i])
  local settles = runs ~= '' or skips ~= ''
  local in_flight = count_words(busies[i])
  local why
  local passed = math.max(tonumber(settled), fired_to or -math.huge)
  if not dues[i] or tonumber(dues[i]) ~= tonumber(ARGV[at + 1]) or versions[i] ~= ARGV[at + 2] then
    why = 'changed'
  elseif settles and fired_to and fired_to >= tonumber(ARGV[at + 4]) then
    why = 'fired'
  elseif next ~= '' and tonumber(next) <= passed then
    -- The due time only moves past what is settled, or the same fire time would come again.
    why = 'changed'
  elseif runs ~= '' and in_flight + count_words(runs) > at_once + tonumber(ARGV[at + 8]) then
    why = 'full'
  end
  if why then
    refused[#refused + 1] = i - 1
    refused[#refused + 1] = why
    refused[#refused + 1] = fireds[i] or ''
  else
    if next ~= '' then
      due[#due + 1] = next
      due[#due + 1] = job
    else
      over[#over + 1] = job
      finished[#finished + 1] = (runs == '' and in_flight == 0) and int(t) or '+inf'
      finished[#finished + 1] = job
    end
    if not fired_to or tonumber(settled) > fired_to then
      fired[#fired + 1] = job
      fired[#fired + 1] = settled
    end
    if runs ~= '' then
      local words = busies[i]
      local room = count_lined_up(words) > 0 and 0 or at_once - in_flight
      for fire in string.gmatch(runs, '%S+') do
        local word = '@' .. fire
        if room > 0 then
          room = room - 1
          ready[list] = ready[list] or {}
          table.insert(ready[list], '1 - 0 ' .. job .. word)
        else
          word = '~' .. word
        end
        words = words and (words .. ' ' .. word) or word
      end
      busy[#busy + 1] = job
      busy[#busy + 1] = words
    end
    if skips ~= '' then
      for line in string.gmatch(skips, '[^\n]+') do
        lines[#lines + 1] = line
      end
    end
  end
end

-- Growing writes first: on a full Redis the dispatch is refused as a whole.
for list, texts in pairs(ready) do
  variadic('RPUSH', list_key(list), texts, 1)
  wake(list, #texts)
end
if #due > 0 then
  variadic('ZADD', K.due, due, 2)
end
if #over > 0 then
  variadic('ZADD', K.finished, finished, 2)
  variadic('ZREM', K.due, over, 1)
end
if #fired > 0 then
  variadic('HSET', K.fired, fired, 2)
end
if #busy > 0 then
  variadic('HSET', K.busy, busy, 2)
end
write_history(lines, t)
redis.call('INCR', K.beat)
return refused
