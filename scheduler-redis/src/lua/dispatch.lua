-- Settles due fire times as planned: the due time moves and the runs appear, in one step per job.
-- KEYS: leader beat due versions changed fired busy finished history lines packed events
--   gates, then (high, ready, low, wake) of each queue
-- ARGV: token, planned at or for, greatest age ms, plain items, last items, other items (at most 500 in all),
--   lists, what `changed` was when the jobs had these versions or "" where they are named. Then the plain
--   items, which settle just their due time, by one run, of jobs that may have one run in flight and none
--   lined up: columns of jobs, versions if they are named, (job, due), (next due, job), (job, "@"
--   due). Then the same of those whose schedule is over with that: columns of jobs, versions if they are named, (job, due),
--   ("+inf", job), (job, "@" due). Then per other item: job, due, version, next due or "", first and last fire time that it settles,
--   max instances, how many more may be lined up, fire times of its runs (blank-separated), records of
--   its skips (one a line). Then per list: list, runs, and a column of the waiting runs of all items,
--   in the order in which they are to wait
-- Answers: {} or {index, why, fired, ...} of items that were refused ("changed", "fired", "full"),
--   counted in this order; or "lost"; or "stale"; or "anew" where `changed` is another, and versions must
--   be named. Asked again: items that were done are refused.
if held_lease() ~= ARGV[1] then
  return 'lost'
end
local t = now()
local age, oldest = t - tonumber(ARGV[2]), tonumber(ARGV[3])
if age > oldest or age < 0 then
  return 'stale'
end
local FIRST, ARGS = 9, 10
local others, lists = tonumber(ARGV[6]), tonumber(ARGV[7])
-- While `changed` is what it was, each job that is stored has the version that it had.
local is_named = ARGV[8] == ''
if not is_named and redis.call('GET', K.changed) ~= ARGV[8] then
  return 'anew'
end
local COLUMNS = is_named and 8 or 7
local function columns(first, count)
  local fired = first + (COLUMNS - 6) * count
  return {
    count = count, jobs = first, versions = first + count, fired = fired,
    next = fired + 2 * count, busy = fired + 4 * count, left_out = {},
  }
end
local plain = columns(FIRST, tonumber(ARGV[4]))
local last = columns(FIRST + COLUMNS * plain.count, tonumber(ARGV[5]))
local OTHERS = FIRST + COLUMNS * (plain.count + last.count)
local LISTS = OTHERS + others * ARGS
if lists > 0 and is_paused() then
  -- Planned before the pause began.
  return 'stale'
end

-- What is not as it was planned, and the waiting runs that therefore do not come to be.
local refused, dropped = {}, {}
local function drop(job, fire)
  dropped['1 - 0 ' .. job .. '@' .. fire] = true
end
local function refuse(place, why, fired, job, runs)
  refused[#refused + 1] = place
  refused[#refused + 1] = why
  refused[#refused + 1] = fired or ''
  for fire in string.gmatch(runs, '%S+') do
    drop(job, fire)
  end
end

-- Whether all these jobs are due at this time. They come as they stand in `due`, perhaps with others
-- between them. Finds out without their scores, since Redis takes longer to print one than for all else
-- that is checked; false may also mean that it could not be found out so.
local function are_due_at(due, jobs)
  local found = redis.call('ZRANGE', K.due, due, due, 'BYSCORE', 'LIMIT', 0, plain.count + last.count + others)
  local at = 0
  for _, job in ipairs(jobs) do
    repeat
      at = at + 1
    until found[at] == job or not found[at]
    if not found[at] then
      return false
    end
  end
  return true
end

local function check(c, place)
  if c.count == 0 then
    return
  end
  local jobs = { unpack(ARGV, c.jobs, c.jobs + c.count - 1) }
  local first = ARGV[c.fired + 1]
  local is_one = first == ARGV[c.fired + 2 * c.count - 1] and are_due_at(first, jobs)
  local dues = is_one and {} or redis.call('ZMSCORE', K.due, unpack(jobs))
  local versions = is_named and redis.call('HMGET', K.versions, unpack(jobs)) or {}
  local fireds = redis.call('HMGET', K.fired, unpack(jobs))
  local busies = redis.call('HMGET', K.busy, unpack(jobs))
  for i = 1, c.count do
    local due, fired = ARGV[c.fired + 2 * i - 1], fireds[i] and tonumber(fireds[i])
    local why
    local found = is_one and first or dues[i]
    if (is_named and versions[i] ~= ARGV[c.versions + i - 1])
      or (found ~= due and (not found or tonumber(found) ~= tonumber(due))) then
      why = 'changed'
    elseif fired and fired >= tonumber(due) then
      why = 'fired'
    elseif busies[i] then
      why = 'full'
    end
    if why then
      c.left_out[i] = true
      refuse(place + i - 1, why, fireds[i], jobs[i], due)
    end
  end
end
check(plain, 0)
check(last, plain.count)

local jobs, dues, versions, fireds, busies = {}, {}, {}, {}, {}
for i = 1, others do
  jobs[i] = ARGV[OTHERS + (i - 1) * ARGS]
end
if others > 0 then
  dues = redis.call('ZMSCORE', K.due, unpack(jobs))
  versions = redis.call('HMGET', K.versions, unpack(jobs))
  fireds = redis.call('HMGET', K.fired, unpack(jobs))
  busies = redis.call('HMGET', K.busy, unpack(jobs))
end

local lines = {}
local due, over, finished, fired, busy = {}, {}, {}, {}, {}
for i = 1, others do
  local at = OTHERS + (i - 1) * ARGS
  local job, next, settled = ARGV[at], ARGV[at + 3], ARGV[at + 5]
  local at_once, runs, skips = tonumber(ARGV[at + 6]), ARGV[at + 8], ARGV[at + 9]
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
  elseif runs ~= '' and in_flight + count_words(runs) > at_once + tonumber(ARGV[at + 7]) then
    why = 'full'
  end
  if why then
    refuse(plain.count + last.count + i - 1, why, fireds[i], job, runs)
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
        else
          -- It is lined up, and waits in no list.
          word = '~' .. word
          drop(job, fire)
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
local at = LISTS
for _ = 1, lists do
  local list, runs = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local out = {}
  if next(dropped) then
    for i = 1, runs do
      out[i] = dropped[ARGV[at + 1 + i]]
    end
  end
  local pushed = column('RPUSH', list_key(list), at + 2, runs, 1, out)
  if pushed > 0 then
    wake(list, pushed)
  end
  at = at + 2 + runs
end
column('ZADD', K.due, plain.next, plain.count, 2, plain.left_out)
column('ZADD', K.finished, last.next, last.count, 2, last.left_out)
column('ZREM', K.due, last.jobs, last.count, 1, last.left_out)
for _, c in ipairs({ plain, last }) do
  column('HSET', K.fired, c.fired, c.count, 2, c.left_out)
  set_fields(K.busy, c.count, function()
    column('HSET', K.busy, c.busy, c.count, 2, c.left_out)
  end)
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
