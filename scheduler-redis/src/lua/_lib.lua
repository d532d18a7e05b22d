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

-- Takes n numbers from the shard's counter, all above `floor`; answers with the first.
local function take_numbers(n, floor)
  local seq = tonumber(redis.call('GET', K.seq) or '0')
  if floor > seq then
    seq = floor
  end
  redis.call('SET', K.seq, int(seq + n))
  return seq + 1
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

-- Writes records (lines of JSON) into history as one packed entry, and tells listeners.
local function write_history(lines, t)
  if #lines == 0 then
    return
  end
  local packed = table.concat(lines, '\n')
  redis.call('XADD', K.history, '*', 'n', #lines, 'at', int(t), 'records', packed)
  redis.call('INCRBY', K.lines, #lines)
  redis.call('RPUSH', K.packed, #lines .. ' ' .. int(t))
  redis.call('PUBLISH', K.events, packed)
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
