-- What all scripts share. Before this stand `K` (the fixed keys by name), `TAIL` (how many these
-- are: KEYS[TAIL + 1] is the first of the rest) and `now()` (milliseconds by the server's clock;
-- call it once per script).

-- A whole number as text: `..` would print 15 digits and more as 1e+14.
local function int(n)
  return string.format('%.0f', n)
end

-- Runs `command key a1 a2 ...` in pieces that Lua's stack can hold; `step` args belong together.
local function variadic(command, key, args, step)
  local size = 996 - 996 % step
  for first = 1, #args, size do
    redis.call(command, key, unpack(args, first, math.min(first + size - 1, #args)))
  end
end

-- The answers of `command key a1 a2 ...`, which has one for each argument, asked in such pieces.
local function gathered(command, key, args)
  if #args <= 996 then
    return redis.call(command, key, unpack(args))
  end
  local answers = {}
  for first = 1, #args, 996 do
    local piece = redis.call(command, key, unpack(args, first, math.min(first + 995, #args)))
    for i = 1, #piece do
      answers[first + i - 1] = piece[i]
    end
  end
  return answers
end

-- Columns are stretches of ARGV that commands take as they are: nothing is done per item. Calls
-- `command key` with a column of `count` times `step` args from ARGV[first] on, but for the items
-- whose place (from 1) is in `left_out`. Answers with how many items that were.
local function column(command, key, first, count, step, left_out)
  if not next(left_out) then
    local size = 1000 - 1000 % step
    for at = first, first + count * step - 1, size do
      redis.call(command, key, unpack(ARGV, at, math.min(at + size, first + count * step) - 1))
    end
    return count
  end
  local args = {}
  for i = 1, count do
    if not left_out[i] then
      for at = first + (i - 1) * step, first + i * step - 1 do
        args[#args + 1] = ARGV[at]
      end
    end
  end
  variadic(command, key, args, step)
  return #args / step
end

-- Redis keeps a small hash as a list, which it searches from one end for each field. A long value
-- makes it a table, for as long as it lives: worth it where many fields are set at once.
local MANY, LONG = 50, string.rep('-', 65)
local function set_fields(key, fields, set)
  if fields >= MANY then
    redis.call('HSET', key, '', LONG)
  end
  set()
  if fields >= MANY then
    redis.call('HDEL', key, '')
  end
end

-- Takes n numbers from the shard's counter, all above `floor`; answers with the first.
local function take_numbers(n, floor)
  local seq = tonumber(redis.call('GET', K.seq) or '0')
  if floor > seq then
    seq = floor
  end
  redis.call('SET', K.seq, int(seq + n))
  return seq + 1
end

-- Counts on from a number: each call gives the next as text. The last three digits are put
-- together from a table, since printing a number takes as long as all else that is done for a claim.
local DIGITS = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' }
local function counter(first)
  local number, text = first - 1, nil
  return function()
    number = number + 1
    local low = number % 1000
    if number < 1000 then
      return int(number)
    elseif low == 0 or not text then
      text = int((number - low) / 1000)
    end
    local c = low % 10
    local b = (low - c) / 10 % 10
    return text .. DIGITS[(low - low % 100) / 100] .. DIGITS[b] .. DIGITS[c]
  end
end

-- How many blank-separated words a text (or false) holds.
local function count_words(text)
  if not text then
    return 0
  end
  local _, blanks = string.gsub(text, ' ', ' ')
  return blanks + 1
end

-- How many of these are marked: runs that are lined up behind others of their job, `~@<ms>`.
local function count_lined_up(text)
  if not text then
    return 0
  end
  local _, marks = string.gsub(text, '~', '~')
  return marks
end

-- The words of a text (or false) without those that are keys of `freed`; false where none is left.
local function without(words, freed)
  local kept = {}
  for each in string.gmatch(words or '', '%S+') do
    if not freed[each] then
      kept[#kept + 1] = each
    end
  end
  return #kept > 0 and table.concat(kept, ' ')
end

-- The job of a run, if its text is a run's: `<job>@<ms>` or `<job>!<uuid>`.
local HEX4 = '%x%x%x%x'
local UUID = HEX4 .. HEX4 .. '%-' .. HEX4 .. '%-' .. HEX4 .. '%-' .. HEX4 .. '%-' .. HEX4 .. HEX4 .. HEX4
local function job_of(run)
  if string.find(run, '%c') then
    return nil
  end
  local job, ms = string.match(run, '^(.+)@%-?(%d+)$')
  if not job or #ms > 16 then
    job = string.match(run, '^(.+)!' .. UUID .. '$')
  end
  return job and #job <= 255 and not string.find(job, '^%s') and not string.find(job, '%s$') and job
end

-- Redis refuses a script's growing writes when its memory is full, but none that follow a delete.
-- What must go on then (what keeps nodes alive, and what frees memory) begins with one that deletes
-- nothing; `key` is a sorted set.
local function go_on_when_full(key)
  redis.call('ZREM', key, '')
end

-- Writes so many records (lines of JSON) into history as one packed entry, and tells listeners.
local function write_packed(packed, count, t)
  redis.call('XADD', K.history, '*', 'n', count, 'at', int(t), 'records', packed)
  redis.call('INCRBY', K.lines, count)
  redis.call('RPUSH', K.packed, count .. ' ' .. int(t))
  redis.call('PUBLISH', K.events, packed)
end

-- The same of a list of records, if there are any, in entries of at most 500.
local function write_history(lines, t)
  for first = 1, #lines, 500 do
    local last = math.min(first + 499, #lines)
    write_packed(table.concat(lines, '\n', first, last), last - first + 1, t)
  end
end

-- Whether a change loses no fire time: the one that is pending, if it is due by now, must stay
-- pending or be recorded. It may have become due after the change was decided.
local function keeps_pending(pending, stays, skipped_from, t)
  pending = tonumber(pending or '')
  return not pending or pending > t or pending == tonumber(stays) or pending == tonumber(skipped_from)
end

-- Each queue that a call names has four keys after the fixed ones: the lists of its priorities
-- (high, normal, low) and its wake-up. A list is named by its place among all these, from 1.

local function list_key(list)
  return KEYS[TAIL + list]
end

-- Whether the whole namespace is paused.
local function is_paused()
  local gate = redis.call('HGET', K.gates, '*')
  return gate and string.sub(gate, 1, 6) == 'paused'
end

-- Offers waiting runs of a list's queue to idle nodes: each marker wakes one.
local function wake(list, runs)
  local markers = {}
  for i = 1, math.min(8, math.ceil(runs / 50)) do
    markers[#markers + 1] = 0
    markers[#markers + 1] = i
  end
  redis.call('ZADD', KEYS[TAIL + math.ceil(list / 4) * 4], unpack(markers))
end
