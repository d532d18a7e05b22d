-- Names claims of a session to a shard that lost what was written last; restores those that went with it.
-- KEYS: meta nodes dead session claims beats ranks restored awaited fired busy finished retry inuse
--   versions gone seq wake-lease, then (high, ready, low, wake) of each queue, then the claims of sessions
--   that named some of these runs before
-- ARGV: session, generation that it took part in last, its number, floor, ttl ms, info (JSON), "last" or
--   "more", queues, these other sessions (count, then each), claims (at most 200, the lowest fence first,
--   each run once), then per claim: run, job, its word in `busy`, fire time or "", fence, claim, list, the
--   text that it waited as there, then the members that it may wait as in `retry` (count, then each)
-- Answers: {"done", generation, {places (from 0) of claims that are the session's no more}}; or {"name",
--   {sessions whose claims must be among the keys}}, and nothing happened; or {"gone"}. Asked again: the
--   same claims, as they are then.

-- How deep lists are searched for a run that is not where it should be; claims take from their heads.
local DEEP, PIECE = 20000, 1000
local KEPT_FOR = 3600000

local session, known, number = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local fields, meta = redis.call('HGETALL', K.meta), {}
for i = 1, #fields, 2 do
  meta[fields[i]] = fields[i + 1]
end
if not meta.generation then
  return unattached()
end
local generation = tonumber(meta.generation)
-- That it took part may be lost, too: then it did not, as far as this store goes.
local took_part = tonumber(redis.call('HGET', K.session, 'generation') or '')
local kept = math.min(known, took_part or known)
-- What is lost to this session is what came after the first generation began that it did not see.
-- And whoever missed a whole generation in which numbers were given out is late with what it had before.
local first, lost_after
local missed_from = 0
for field, value in pairs(meta) do
  local began = tonumber(string.match(field, '^lost_after:(%d+)$'))
  if began and began > kept and (not first or began < first) then
    first, lost_after = began, tonumber(value)
  end
  local used = tonumber(string.match(field, '^used:(%d+)$'))
  if used and used > kept then
    missed_from = math.max(missed_from, tonumber(value))
  end
end
-- It was on a server with a faster clock, which is gone: what came after this generation began is lost to it.
if not first and kept ~= generation then
  lost_after = tonumber(meta['lost_after:' .. int(generation)])
end
lost_after = lost_after or math.huge
local lives = redis.call('ZSCORE', K.nodes, session)
if redis.call('ZSCORE', K.dead, session) or (not lives and number <= lost_after) then
  return { 'gone' }
end
local t = now()
local is_ready = grace_left(meta.ready_at, meta.grace, t) == 0

local others, at = {}, 9
local queues = tonumber(ARGV[8])
for i = 1, tonumber(ARGV[at]) do
  others[ARGV[at + i]] = KEYS[TAIL + 4 * queues + i]
end
at = at + tonumber(ARGV[at]) + 1
local claims = {}
for i = 1, tonumber(ARGV[at]) do
  claims[i] = {}
end
at = at + 1
for _, c in ipairs(claims) do
  c.run, c.job, c.word, c.fire, c.fence = unpack(ARGV, at, at + 4)
  c.value, c.list, c.text = ARGV[at + 5], tonumber(ARGV[at + 6]), ARGV[at + 7]
  c.queue = string.match(c.value, '^%S+ %S+ %S+ %S+ (%S+)')
  local members = tonumber(ARGV[at + 8])
  c.members = { unpack(ARGV, at + 9, at + 8 + members) }
  c.fence = tonumber(c.fence)
  at = at + 9 + members
end

local function column_of(command, key, name)
  local names = {}
  for i, c in ipairs(claims) do
    names[i] = c[name]
  end
  return #names > 0 and redis.call(command, key, unpack(names)) or {}
end
local own = column_of('HMGET', K.claims, 'run')
local told = column_of('HMGET', K.restored, 'run')
local fired, busy, versions = {}, {}, {}
for i, value in ipairs(column_of('HMGET', K.fired, 'job')) do
  fired[claims[i].job] = value
end
for i, value in ipairs(column_of('HMGET', K.busy, 'job')) do
  busy[claims[i].job] = value
end
for i, value in ipairs(column_of('HMGET', K.versions, 'job')) do
  versions[claims[i].job] = value
end

local function has_word(words, word)
  return words and string.find(' ' .. words .. ' ', ' ' .. word .. ' ', 1, true)
end

-- Where a run waits: `{key, text}`; nothing if it does not.
local searched = 0
local function waits_at(c)
  local key = list_key(c.list)
  if redis.call('LPOS', key, c.text) then
    return { 'LREM', key, c.text }
  end
  for _, member in ipairs(c.members) do
    if redis.call('ZSCORE', K.retry, member) then
      return { 'ZREM', K.retry, member }
    end
  end
  -- As an earlier attempt, perhaps.
  local from, tail = 0, ' ' .. c.run
  while searched < DEEP do
    local texts = redis.call('LRANGE', key, from, from + PIECE - 1)
    for _, text in ipairs(texts) do
      if string.sub(text, -#tail) == tail then
        return { 'LREM', key, text }
      end
    end
    from, searched = from + PIECE, searched + PIECE
    if #texts < PIECE then
      return nil
    end
  end
end

-- What becomes of each claim: `scheduler_core::failover::fate` is the rule, and says why.
local over, restored, taken, needed, put_right = {}, {}, {}, {}, {}
for i, c in ipairs(claims) do
  local held = tonumber(string.match(own[i] or '', '^%d+'))
  local fence, holder = string.match(told[i] or '', '^(%d+) (.+)$')
  fence = tonumber(fence)
  local is_over
  if math.max(held or 0, fence or 0) > c.fence then
    is_over = true
    if held and fence and held < fence then
      taken[#taken + 1] = { K.claims, c }
    end
  elseif held == c.fence then
    -- A mark that it begins is never taken back.
    c.value = string.find(own[i], ' begun$') and own[i] or c.value
    put_right[#put_right + 1] = c
  elseif fence == c.fence or c.fence <= lost_after then
    is_over = true
  else
    local words, settled_to = busy[c.job], tonumber(fired[c.job] or '')
    -- Runs may have been claimed since.
    local is_late = is_ready or c.fence <= missed_from
    local waits
    if has_word(words, '~' .. c.word) then
      c.lined_up = true
    elseif has_word(words, c.word) then
      waits = not held and waits_at(c)
      -- Somebody's claim, given since: but not the session's own, of before.
      is_over = not waits and is_late and not held
    else
      -- Others may have named later runs of the job, which settles its earlier fire times, too.
      is_over = fence or (is_late and c.fire ~= '' and settled_to and settled_to >= tonumber(c.fire))
      if is_over and held then
        -- An earlier claim of its own on a run that is over: nobody is to begin that again.
        taken[#taken + 1] = { K.claims, c }
      end
    end
    if not is_over then
      c.waits, c.held = waits, held
      restored[#restored + 1] = c
      if fence and holder ~= session then
        if others[holder] then
          taken[#taken + 1] = { others[holder], c }
        else
          needed[holder] = true
        end
      end
    end
  end
  if is_over then
    over[#over + 1] = i - 1
  end
end
if next(needed) then
  local names = {}
  for name in pairs(needed) do
    names[#names + 1] = name
  end
  return { 'name', names }
end
local taken_from = {}
for i, each in ipairs(taken) do
  taken_from[i] = redis.call('HGET', each[1], each[2].run)
end
-- Whatever is first written to below must be of its type.
redis.call('ZCARD', K.finished)
redis.call('ZCARD', K.gone)
redis.call('SCARD', K.awaited)
redis.call('HLEN', K.inuse)

go_on_when_full(K.nodes)
if not lives then
  redis.call('HSET', K.session, 'info', ARGV[6], 'since', int(t), 'running', 0, 'number', ARGV[3])
  redis.call('ZADD', K.nodes, int(t + tonumber(ARGV[5])), session)
  redis.call('HSET', K.beats, session, '0 ' .. ARGV[5])
  redis.call('ZADD', K.ranks, ARGV[3], session)
end
take_numbers(0, tonumber(ARGV[4]))
local function count(queue, by)
  redis.call('HINCRBY', K.inuse, queue, by)
end
for i, each in ipairs(taken) do
  if taken_from[i] then
    redis.call('HDEL', each[1], each[2].run)
    count(each[2].queue, -1)
  end
end
for _, c in ipairs(restored) do
  if c.waits then
    local command, key, text = unpack(c.waits)
    if command == 'LREM' then
      redis.call('LREM', key, 1, text)
    else
      redis.call('ZREM', key, text)
    end
  end
  local words = busy[c.job]
  if c.lined_up then
    words = without(words, { ['~' .. c.word] = true })
  end
  if not has_word(words, c.word) then
    words = words and (words .. ' ' .. c.word) or c.word
    busy[c.job] = words
    redis.call('HSET', K.busy, c.job, words)
    redis.call('ZADD', K.finished, 'XX', '+inf', c.job)
  end
  local settled_to = tonumber(fired[c.job] or '')
  if c.fire ~= '' and (not settled_to or settled_to < tonumber(c.fire)) then
    fired[c.job] = c.fire
    redis.call('HSET', K.fired, c.job, c.fire)
  end
  if not versions[c.job] then
    -- The job went with the tail: what is settled of it is kept as of one that was removed.
    redis.call('ZADD', K.gone, int(t), c.job)
  end
  redis.call('HSET', K.claims, c.run, c.value)
  redis.call('HSET', K.restored, c.run, int(c.fence) .. ' ' .. session)
  if not c.held then
    count(c.queue, 1)
  end
end
for _, c in ipairs(put_right) do
  redis.call('HSET', K.claims, c.run, c.value)
  redis.call('HSET', K.restored, c.run, int(c.fence) .. ' ' .. session)
end
if ARGV[7] == 'last' then
  redis.call('HSET', K.session, 'generation', meta.generation)
  -- What it holds without having named it may have been named by others.
  local all = redis.call('HGETALL', K.claims)
  for first_of = 1, #all, 1000 do
    local runs, stop = {}, math.min(first_of + 999, #all)
    for i = first_of, stop, 2 do
      runs[#runs + 1] = all[i]
    end
    for i, value in ipairs(redis.call('HMGET', K.restored, unpack(runs))) do
      local run, claim = runs[i], all[first_of + 2 * i - 1]
      local mine = tonumber(string.match(claim, '^%d+')) or 0
      local highest = tonumber(string.match(value or '', '^%d+')) or 0
      if highest > mine then
        redis.call('HDEL', K.claims, run)
        count(string.match(claim, '^%S+ %S+ %S+ %S+ (%S+)') or '-', -1)
      elseif highest < mine then
        redis.call('HSET', K.restored, run, int(mine) .. ' ' .. session)
      end
    end
  end
  if redis.call('SREM', K.awaited, session) == 1 and redis.call('SCARD', K.awaited) == 0 and not is_ready then
    -- All that are known have told what they know: nobody else is waited for.
    redis.call('HSET', K.meta, 'ready_at', int(t))
    redis.call('ZADD', K['wake-lease'], 0, 1, 0, 2)
  end
end
redis.call('PEXPIRE', K.restored, KEPT_FOR)
return { 'done', generation, over }
