-- Writes jobs, each if it still is as it was read; or one, in the place of the holder of its unique key.
-- KEYS: due fired versions changed busy old finished gone parked resume seq queues requests replies history lines packed
--   events wake-leader openings cancelled unique unique-until followers keeping kept-until jobs, then the
--   job of each item, then the job of the holder
-- ARGV: request, items (at most 200, or 10000 all or none), "all" for all or none or "", then per item:
--   job, expected version or "", next due or "", state and more words of its head, record, queue, "" or
--   "more". With more: first and last of the skipped fire times or "" and "", records of these (one a line),
--   paused from, paused since, until, by and why, each or "", unique key or "", for how many ms it is held or
--   "", whom it follows (see _follow.lua) or "", how much of its history is kept (see _keeping.lua) or "".
--   Then, for one that takes the place of a holder: the holder, and if it is stored how it is removed (see
--   _removal.lua)
-- Answers: one word per item: its new version, "conflict" or "taken"; all or none: where one is refused,
--   "conflict" for those that would not be. The same request asked again: the same words.
local PAUSE = { 'paused_from', 'paused_since', 'paused_until', 'paused_by', 'paused_why' }
-- What once stood beside it, and stands in `jobs` now.
local ONCE = { 'record', 'version', 'state', 'name', 'task', 'trigger', 'queue', 'keep' }
local request, count = ARGV[1], tonumber(ARGV[2])
local all_or_none = ARGV[3] == 'all'
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
-- Where each item begins, and where what it has more stands behind; most jobs have nothing more.
local jobs, items, mores, NOTHING = {}, {}, {}, {}
local at_end = 4
for i = 1, count do
  jobs[i], items[i] = ARGV[at_end], at_end
  at_end = at_end + 7
  if ARGV[at_end - 1] == '' then
    mores[i] = NOTHING
  else
    mores[i] = { unpack(ARGV, at_end, at_end + 11) }
    at_end = at_end + 12
  end
end
local SKIPPED_FROM, SKIPPED_TO, SKIPS, PAUSED_FROM, PAUSED_UNTIL, KEY, HELD, AFTER, KEEPS = 1, 2, 3, 4, 6, 9, 10, 11, 12
local function more(i, which)
  return mores[i][which] or ''
end
local versions = gathered('HMGET', K.versions, jobs)
local fireds = gathered('HMGET', K.fired, jobs)
local busies = gathered('HMGET', K.busy, jobs)
local dues = gathered('ZMSCORE', K.due, jobs)
local keepings = gathered('HMGET', K.keeping, jobs)
local head = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
head = head[2] and tonumber(head[2]) or math.huge

-- The holder whose place is taken, if there is to be one.
local at_holder = at_end
local holder, removal, may_take = ARGV[at_holder], nil, true
if holder then
  local key = more(1, KEY)
  if #ARGV > at_holder then
    removal = read_removal(at_holder + 1, KEYS[TAIL + count + 1], t)
    may_take = removal and removal.job == holder and holder ~= jobs[1]
  else
    may_take = redis.call('HEXISTS', K.versions, holder) == 0
  end
  may_take = may_take and key ~= '' and holder_of(key, t) == holder
end

local words, accepted, lines = {}, {}, {}
local had, frees, taken = {}, {}, {}
local follows, is_followed = {}, redis.call('EXISTS', K.followers) == 1
for i = 1, count do
  local at = items[i]
  local fired = fireds[i] and tonumber(fireds[i])
  -- No due time, and no beginning of a pause, at or before what has been settled.
  local next, from = tonumber(ARGV[at + 2]), tonumber(more(i, PAUSED_FROM))
  local settled, key = tonumber(more(i, SKIPPED_TO)), more(i, KEY)
  local pending = dues[i]
  if versions[i] then
    local stored = redis.call('HMGET', KEYS[TAIL + i], 'paused_from', 'unique')
    pending = pending or stored[1]
    had[i] = stored[2]
    frees[i] = had[i] ~= key and key_to_free(had[i], jobs[i])
  end
  local floor = math.max(fired or -math.huge, settled or -math.huge)
  local after = more(i, AFTER)
  if (versions[i] or '') ~= ARGV[at + 1] or (next and next <= floor) or (from and from <= floor)
    or (settled and fired and settled <= fired) or not may_take
    or not keeps_pending(pending, next or from, more(i, SKIPPED_FROM), t)
    or (after ~= '' and closes_circle(jobs[i], string.match(after, '^%S+ (.*)$'), follows)) then
    words[i] = 'conflict'
  else
    if key ~= '' and had[i] ~= key then
      local by = taken[key] or holder_of(key, t)
      -- Also one of the same id that has ended, and holds the key for longer.
      if by and by ~= holder and (by ~= jobs[i] or not versions[i]) then
        words[i] = 'taken'
      else
        taken[key] = jobs[i]
      end
    end
    if not words[i] then
      accepted[#accepted + 1] = i
      if after ~= '' then
        follows[jobs[i]] = follower_line(jobs[i], after)
      elseif is_followed then
        follows[jobs[i]] = false
      end
      for line in string.gmatch(more(i, SKIPS), '[^\n]+') do
        lines[#lines + 1] = line
      end
    end
  end
end
if all_or_none and #accepted < count then
  for _, i in ipairs(accepted) do
    words[i] = 'conflict'
  end
  accepted, lines = {}, {}
end
local kept = {}
for _, i in ipairs(accepted) do
  if busies[i] then
    -- Runs in flight keep the definition that they started with.
    local record = record_in(redis.call('HGET', K.jobs, jobs[i]), KEYS[TAIL + i])
    if record and versions[i] then
      kept[#kept + 1] = versions[i] .. ' ' .. jobs[i]
      kept[#kept + 1] = record
    end
  end
end

-- Growing writes first: on a full Redis the change is refused as a whole.
redis.call('HSET', K.replies, request, 'conflict')
redis.call('ZADD', K.requests, int(t), request)
variadic('HSET', K.old, kept, 2)
local number = #accepted > 0 and counter(take_numbers(#accepted, 0))
local earliest, opened = math.huge, false
local numbers, texts, queues, due, not_due = {}, {}, {}, {}, {}
local keeping, not_keeping, to_trim, not_following = {}, {}, {}, {}
local named = {}
for n, i in ipairs(accepted) do
  local at = items[i]
  local job, next = jobs[i], ARGV[at + 2]
  words[i] = number()
  texts[#texts + 1] = job
  texts[#texts + 1] = words[i] .. ' ' .. ARGV[at + 3] .. '\n' .. ARGV[at + 4]
  if versions[i] then
    redis.call('HDEL', KEYS[TAIL + i], unpack(ONCE))
    redis.call('HDEL', KEYS[TAIL + i], unpack(PAUSE))
  end
  for n, field in ipairs(mores[i] == NOTHING and NOTHING or PAUSE) do
    local value = more(i, PAUSED_FROM + n - 1)
    if value ~= '' then
      redis.call('HSET', KEYS[TAIL + i], field, value)
    end
  end
  numbers[#numbers + 1] = job
  numbers[#numbers + 1] = words[i]
  local queue = ARGV[at + 5]
  if not named[queue] then
    named[queue] = true
    queues[#queues + 1] = queue
  end
  if more(i, SKIPPED_TO) ~= '' then
    redis.call('HSET', K.fired, job, more(i, SKIPPED_TO))
  end
  local keeps = more(i, KEEPS)
  if keeps ~= (keepings[i] or '') then
    if keeps ~= '' then
      keeping[#keeping + 1] = job
      keeping[#keeping + 1] = keeps
    else
      not_keeping[#not_keeping + 1] = job
    end
    if keepings[i] then
      -- What is kept may be too much by now.
      to_trim[#to_trim + 1] = int(t)
      to_trim[#to_trim + 1] = job
    end
  end
  if count_lined_up(busies[i]) > 0 then
    -- It may allow more at once than before.
    redis.call('ZADD', K.openings, int(t), job)
    opened = true
  end
  if follows[job] then
    redis.call('HSET', K.followers, job, follows[job])
  elseif follows[job] == false and versions[i] then
    not_following[#not_following + 1] = job
  end
  if more(i, PAUSED_UNTIL) ~= '' then
    redis.call('ZADD', K.resume, more(i, PAUSED_UNTIL), job)
  elseif versions[i] then
    redis.call('ZREM', K.resume, job)
  end
  if next ~= '' then
    due[#due + 1] = next
    due[#due + 1] = job
    if versions[i] then
      redis.call('ZREM', K.finished, job)
    end
    earliest = math.min(earliest, tonumber(next))
  else
    not_due[#not_due + 1] = job
    -- What follows others has no end of a schedule to come to.
    if string.find(ARGV[at + 3], '^active') and (not follows[job] or more(i, KEY) ~= '') then
      redis.call('ZADD', K.finished, busies[i] and '+inf' or int(t), job)
    else
      redis.call('ZREM', K.finished, job)
    end
  end
end
variadic('HSET', K.keeping, keeping, 2)
variadic('HDEL', K.followers, not_following, 1)
variadic('HDEL', K.keeping, not_keeping, 1)
variadic('ZADD', K['kept-until'], to_trim, 2)
if removal and #accepted > 0 then
  write_removal(removal, t)
end
for _, i in ipairs(accepted) do
  local key, ms = more(i, KEY), more(i, HELD)
  -- Whoever takes another one's place takes the key, also if it had it once.
  if (had[i] or '') ~= key or holder then
    if frees[i] then
      free_key(frees[i])
    end
    if key ~= '' then
      redis.call('HSET', KEYS[TAIL + i], 'unique', key)
      redis.call('HSET', K.unique, key, jobs[i])
      if ms ~= '' then
        redis.call('ZADD', K['unique-until'], int(t + tonumber(ms)), key)
      else
        redis.call('ZREM', K['unique-until'], key)
      end
    else
      redis.call('HDEL', KEYS[TAIL + i], 'unique')
    end
  end
end
if #accepted > 0 then
  local ids = {}
  for n, i in ipairs(accepted) do
    ids[n] = jobs[i]
  end
  variadic('HSET', K.jobs, texts, 2)
  variadic('HSET', K.versions, numbers, 2)
  redis.call('SET', K.changed, numbers[2])
  variadic('SADD', K.queues, queues, 1)
  variadic('ZREM', K.gone, ids, 1)
  variadic('ZREM', K.parked, ids, 1)
end
variadic('ZADD', K.due, due, 2)
variadic('ZREM', K.due, not_due, 1)
write_history(lines, t)
if opened or earliest < head then
  redis.call('ZADD', K['wake-leader'], 0, 1)
end
reply = table.concat(words, ' ')
redis.call('HSET', K.replies, request, reply)
return reply
