-- Settling claimed runs, for those who hand them in and for those who clear up after the dead.
--
-- An item is 8 args: run, how its claim begins (`<fence>`, or `<fence> <version> <attempt>`), job,
-- kind, the list that it came from, text, record, definition. Kinds:
--   E  the run is over: its job's slot is freed
--   G  back to the head of the list that it came from, as `text`
--   R  to the end of that list, as `text`
--   A<ms>  waits so long, as the member `text` of the retry queue
-- A run that somebody has cancelled ends as that, whatever the kind.
-- With a `definition` the run is kept among the failed ones, and the record with it.
-- `record`, where not empty, goes into history.

local SETTLED_ARGS = 8

-- The record of a run that ends because somebody cancelled it.
local function cancelled_record(run, attempt, queue, reason)
  return '{"run":' .. cjson.encode(run) .. ',"outcome":"cancelled","attempt":' .. attempt
    .. ',"queue":' .. cjson.encode(queue) .. ',"detail":' .. cjson.encode(reason) .. '}'
end

-- Reads and checks `count` items from ARGV[first]: which of them still hold their claim.
local function read_settled(first, count)
  local s = {
    held = {}, stale = {}, busy = {}, lines = {}, freed_of = {}, unmark = {}, ends = {},
  }
  -- Few runs are ever cancelled: most calls learn here that none is.
  s.marks = redis.call('HLEN', K.cancelled) > 0
  if count == 0 then
    return s
  end
  local runs, jobs, marks = {}, {}, {}
  for i = 1, count do
    runs[i] = ARGV[first + (i - 1) * SETTLED_ARGS]
  end
  local claims = redis.call('HMGET', K.claims, unpack(runs))
  if s.marks then
    marks = redis.call('HMGET', K.cancelled, unpack(runs))
  end
  for i = 1, count do
    local at = first + (i - 1) * SETTLED_ARGS
    local claim = ARGV[at + 1] .. ' '
    if claims[i] and string.sub(claims[i], 1, #claim) == claim then
      s.held[#s.held + 1] = at
      local queue = math.ceil(tonumber(ARGV[at + 4]) / 4)
      s.freed_of[queue] = (s.freed_of[queue] or 0) + 1
      jobs[#jobs + 1] = ARGV[at + 2]
      if ARGV[at + 6] ~= '' then
        s.lines[#s.lines + 1] = ARGV[at + 6]
      end
      if marks[i] then
        s.unmark[#s.unmark + 1] = runs[i]
        if ARGV[at + 3] ~= 'E' then
          local attempt, queue = string.match(claims[i], '^%S+ %S+ (%d+) %S+ (%S+)')
          s.ends[at] = true
          s.lines[#s.lines + 1] = cancelled_record(runs[i], attempt, queue, marks[i])
        end
      end
    else
      s.stale[#s.stale + 1] = runs[i]
    end
  end
  if #jobs > 0 then
    local busy = redis.call('HMGET', K.busy, unpack(jobs))
    for i, job in ipairs(jobs) do
      s.busy[job] = busy[i]
    end
  end
  return s
end

-- Notes that a run's slot is to be freed; written by `write_busy`.
local function free(s, job, run)
  s.freed = s.freed or {}
  s.freed[job] = s.freed[job] or {}
  s.freed[job][string.sub(run, #job + 1)] = true
end

-- Takes the claims away and moves the runs. Begins with a delete, so that it works on a full Redis.
local function write_settled(s, t)
  local runs = {}
  for i, at in ipairs(s.held) do
    runs[i] = ARGV[at]
  end
  if #runs > 0 then
    redis.call('HDEL', K.claims, unpack(runs))
  end
  if #s.unmark > 0 then
    redis.call('HDEL', K.cancelled, unpack(s.unmark))
  end
  local moved = {}
  s.moved = moved
  for _, at in ipairs(s.held) do
    local kind, list, text = ARGV[at + 3], tonumber(ARGV[at + 4]), ARGV[at + 5]
    if kind == 'E' or s.ends[at] then
      free(s, ARGV[at + 2], ARGV[at])
      if ARGV[at + 7] ~= '' and not s.ends[at] then
        redis.call('HSET', K.failures, ARGV[at], ARGV[at + 6] .. '\n' .. ARGV[at + 7])
        redis.call('ZADD', K.failed, int(t), ARGV[at])
      end
    elseif kind == 'G' then
      redis.call('LPUSH', list_key(list), text)
      moved[list] = (moved[list] or 0) + 1
    elseif kind == 'R' then
      redis.call('RPUSH', list_key(list), text)
      moved[list] = (moved[list] or 0) + 1
    else
      redis.call('ZADD', K.retry, int(t + tonumber(string.sub(kind, 2))), text)
    end
  end
  for list, runs in pairs(moved) do
    wake(list, runs)
  end
end

-- Writes what `free` left, and lets the leader know of jobs that have nothing more to do.
local function write_busy(s, t)
  if not s.freed then
    return
  end
  local gone, kept, open = {}, {}, {}
  for job, runs in pairs(s.freed) do
    local left = without(s.busy[job], runs)
    if left then
      kept[#kept + 1] = job
      kept[#kept + 1] = left
      if count_lined_up(left) > 0 then
        open[#open + 1] = int(t)
        open[#open + 1] = job
      end
    else
      gone[#gone + 1] = job
    end
  end
  if #gone > 0 then
    variadic('HDEL', K.busy, gone, 1)
    if redis.call('EXISTS', K.finished) == 1 then
      local marked = {}
      for first = 1, #gone, 500 do
        local last = math.min(first + 499, #gone)
        local over = redis.call('ZMSCORE', K.finished, unpack(gone, first, last))
        for i = first, last do
          if over[i - first + 1] then
            marked[#marked + 1] = int(t)
            marked[#marked + 1] = gone[i]
          end
        end
      end
      if #marked > 0 then
        variadic('ZADD', K.finished, marked, 2)
      end
    end
  end
  if #kept > 0 then
    variadic('HSET', K.busy, kept, 2)
  end
  if #open > 0 then
    -- The leader knows whether there is room, and in which queue the next one goes on.
    variadic('ZADD', K.openings, open, 2)
    redis.call('ZADD', K['wake-leader'], 0, 1)
  end
end
