-- Settling claimed runs, for those who hand them in and for those who clear up after the dead.
--
-- They are columns of `count` args each: runs; how their claims begin, with the blank that follows
-- (`<fence> `, or `<fence> <version> <attempt> `); jobs. Then the lists that they came from: how many
-- stretches, and for each of these its list and how many runs. Then one text with a line for each
-- run, its record or nothing; and 1 if each has one. Then how many of the runs do not just end, and
-- for each of these its place in the columns, kind, list and text. Kinds:
--   G  back to the head of the list that it came from, as `text`
--   R  to the end of that list, as `text`
--   A<ms>  waits so long, as the member `text` of the retry queue
--   F  the run is over, and kept among the failed ones as `text`
-- A run that is over frees its job's slot. One that somebody has cancelled is over, whatever the kind.

-- The record of a run that ends because somebody cancelled it.
local function cancelled_record(run, attempt, queue, reason)
  return '{"run":' .. cjson.encode(run) .. ',"outcome":"cancelled","attempt":' .. attempt
    .. ',"queue":' .. cjson.encode(queue) .. ',"detail":' .. cjson.encode(reason) .. '}'
end

-- Counts by queue the claims that are taken away, of the `stretches` from ARGV[at] on.
local function count_freed(s, at, stretches)
  local i = 0
  for stretch = at, at + 2 * stretches - 1, 2 do
    local queue, runs = math.ceil(tonumber(ARGV[stretch]) / 4), tonumber(ARGV[stretch + 1])
    local freed = runs
    if next(s.refused) then
      for each = i + 1, i + runs do
        freed = freed - (s.refused[each] and 1 or 0)
      end
    end
    i = i + runs
    s.freed_of[queue] = (s.freed_of[queue] or 0) + freed
  end
end

-- Reads and checks `count` runs: which of them still hold their claim. `gone` are jobs with nothing
-- else in flight, as most are; `over` are the other runs that end, and `busy` has what their jobs have
-- in flight.
local function read_settled(first, count)
  local s = {
    count = count, refused = {}, stale = {}, moves = {}, kept = {}, over = {}, gone = {}, busy = {},
    lines = {}, freed_of = {}, unmark = {},
  }
  -- Few runs are ever cancelled: most calls learn here that none is.
  s.marks = redis.call('HLEN', K.cancelled) > 0
  if count == 0 then
    return s
  end
  local runs, begin, jobs, stretched = first, first + count, first + 2 * count, first + 3 * count
  local stretches = tonumber(ARGV[stretched])
  local rest = stretched + 1 + 2 * stretches
  s.runs, s.records, s.recorded = runs, ARGV[rest], ARGV[rest + 1] == '1'
  local claims = redis.call('HMGET', K.claims, unpack(ARGV, runs, begin - 1))
  local busy = redis.call('HMGET', K.busy, unpack(ARGV, jobs, stretched - 1))
  local marks = s.marks and redis.call('HMGET', K.cancelled, unpack(ARGV, runs, begin - 1)) or {}
  local refused = s.refused
  for i = 1, count do
    local claim = claims[i]
    if not claim or string.find(claim, ARGV[begin + i - 1], 1, true) ~= 1 then
      refused[i] = true
      s.stale[#s.stale + 1] = ARGV[runs + i - 1]
    elseif marks[i] then
      s.unmark[#s.unmark + 1] = ARGV[runs + i - 1]
    end
  end
  count_freed(s, stretched + 1, stretches)

  local moved = {}
  for at = rest + 3, rest + 2 + 4 * tonumber(ARGV[rest + 2]), 4 do
    local i, kind, text = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 3]
    local run = ARGV[runs + i - 1]
    if refused[i] then
      -- It is no longer the caller's to move.
    elseif kind == 'F' then
      s.kept[#s.kept + 1] = { run, text }
    elseif marks[i] then
      local attempt, queue = string.match(claims[i], '^%S+ %S+ (%d+) %S+ (%S+)')
      s.lines[#s.lines + 1] = cancelled_record(run, attempt, queue, marks[i])
    else
      moved[i] = true
      local after = tonumber(string.sub(kind, 2)) or 0
      s.moves[#s.moves + 1] = { kind, tonumber(ARGV[at + 2]), text, after }
    end
  end
  local gone = s.gone
  for i = 1, count do
    if not moved[i] and not refused[i] then
      local run, job, words = ARGV[runs + i - 1], ARGV[jobs + i - 1], busy[i]
      if words and job .. words == run then
        gone[#gone + 1] = job
      else
        s.busy[job] = words
        s.over[#s.over + 1] = { job, run }
      end
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
  s.moved = {}
  if s.count > 0 then
    column('HDEL', K.claims, s.runs, s.count, 1, s.refused)
  end
  if #s.unmark > 0 then
    redis.call('HDEL', K.cancelled, unpack(s.unmark))
  end
  for _, each in ipairs(s.over) do
    free(s, each[1], each[2])
  end
  for _, each in ipairs(s.kept) do
    redis.call('HSET', K.failures, each[1], each[2])
    redis.call('ZADD', K.failed, int(t), each[1])
  end
  for _, move in ipairs(s.moves) do
    local kind, list, text, after = unpack(move)
    if kind == 'G' then
      redis.call('LPUSH', list_key(list), text)
      s.moved[list] = (s.moved[list] or 0) + 1
    elseif kind == 'R' then
      redis.call('RPUSH', list_key(list), text)
      s.moved[list] = (s.moved[list] or 0) + 1
    else
      redis.call('ZADD', K.retry, int(t + after), text)
    end
  end
  for list, runs in pairs(s.moved) do
    wake(list, runs)
  end
end

-- Writes what `free` left, and lets the leader know of jobs that have nothing more to do.
local function write_busy(s, t)
  local gone, kept, open = s.gone or {}, {}, {}
  for job, runs in pairs(s.freed or {}) do
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
  if #kept > 0 then
    variadic('HSET', K.busy, kept, 2)
  end
  if #gone > 0 then
    variadic('HDEL', K.busy, gone, 1)
    if redis.call('EXISTS', K.finished) == 1 then
      local marked, at = {}, int(t)
      for first = 1, #gone, 500 do
        local last = math.min(first + 499, #gone)
        local over = redis.call('ZMSCORE', K.finished, unpack(gone, first, last))
        for i = first, last do
          if over[i - first + 1] then
            marked[#marked + 1] = at
            marked[#marked + 1] = gone[i]
          end
        end
      end
      if #marked > 0 then
        variadic('ZADD', K.finished, marked, 2)
      end
    end
  end
  if #open > 0 then
    -- The leader knows whether there is room, and in which queue the next one goes on.
    variadic('ZADD', K.openings, open, 2)
    redis.call('ZADD', K['wake-leader'], 0, 1)
  end
end

-- Writes the records of the runs that held their claims, and `s.lines`.
local function write_records(s, t)
  if s.recorded and not next(s.refused) and #s.lines == 0 then
    write_packed(s.records, s.count, t)
    return
  end
  local lines, i = {}, 0
  for line in string.gmatch(s.count > 0 and s.records .. '\n' or '', '([^\n]*)\n') do
    i = i + 1
    if line ~= '' and not s.refused[i] then
      lines[#lines + 1] = line
    end
  end
  for _, line in ipairs(s.lines) do
    lines[#lines + 1] = line
  end
  write_history(lines, t)
end
