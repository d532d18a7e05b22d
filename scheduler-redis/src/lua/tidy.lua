-- Forgets what is past keeping, a bounded amount per call.
-- KEYS: leader beat requests replies gone fired versions history lines packed old busy failed failures
--   unique unique-until keeping kept kept-until
-- ARGV: token, records of history to keep, requests ms, fire times of removed jobs ms, history ms or "",
--   failed runs to keep, failed runs ms
-- Answers: 1; 2 where there is more to forget; or 0 where the lease was lost.
local MOST = 500
if held_lease() ~= ARGV[1] then
  return 0
end
local t = now()
-- Where single jobs keep more of history, each record has to be looked at. (Keys that somebody filled
-- with something else make it fail here, before anything is done.)
local keeping = redis.call('HLEN', K.keeping) > 0
redis.call('ZCARD', K.kept)
redis.call('ZCARD', K['kept-until'])
go_on_when_full(K.requests)
redis.call('INCR', K.beat)
local more = false

local function past(key, ms)
  local found = redis.call('ZRANGE', key, '-inf', int(t - ms), 'BYSCORE', 'LIMIT', 0, MOST)
  more = more or #found == MOST
  return found
end

local requests = past(K.requests, tonumber(ARGV[3]))
if #requests > 0 then
  redis.call('ZREM', K.requests, unpack(requests))
  redis.call('HDEL', K.replies, unpack(requests))
end

local gone = past(K.gone, tonumber(ARGV[4]))
if #gone > 0 then
  -- A job that was put again under its old id keeps what was settled.
  local versions, forget = redis.call('HMGET', K.versions, unpack(gone)), {}
  for i, job in ipairs(gone) do
    if not versions[i] then
      forget[#forget + 1] = job
    end
  end
  redis.call('ZREM', K.gone, unpack(gone))
  if #forget > 0 then
    local texts = redis.call('HMGET', K.keeping, unpack(forget))
    redis.call('HDEL', K.fired, unpack(forget))
    bury_kept(forget, texts, t)
  end
end

-- History is packed; `packed` says how many records each entry holds and when it was written, the
-- oldest first, so that no entry has to be read to be counted.
local function records_of(text)
  return tonumber(string.match(text, '^%d+') or '0')
end

local entries = redis.call('XLEN', K.history)
if redis.call('LLEN', K.packed) ~= entries then
  -- Somebody trimmed the stream by hand. Count what is left anew.
  if entries == 0 then
    redis.call('DEL', K.packed)
  else
    redis.call('LTRIM', K.packed, -entries, -1)
    redis.call('XTRIM', K.history, 'MAXLEN', redis.call('LLEN', K.packed))
    entries = redis.call('XLEN', K.history)
  end
  local total = 0
  for _, n in ipairs(redis.call('LRANGE', K.packed, 0, -1)) do
    total = total + records_of(n)
  end
  redis.call('SET', K.lines, int(total))
end
local excess = tonumber(redis.call('GET', K.lines) or '0') - tonumber(ARGV[2])
local horizon = ARGV[5] ~= '' and t - tonumber(ARGV[5])
if excess > 0 or horizon then
  local dropped, records = 0, 0
  for _, text in ipairs(redis.call('LRANGE', K.packed, 0, MOST - 1)) do
    local n, at = records_of(text), tonumber(string.match(text, ' (%d+)$') or '')
    if records + n > excess and not (horizon and at and at < horizon) then
      break
    end
    if keeping and dropped > 0 and records + n > MOST then
      more = true
      break
    end
    dropped, records = dropped + 1, records + n
  end
  if dropped > 0 then
    local wanted = keeping and read_wanted(dropped, t) or {}
    redis.call('XTRIM', K.history, 'MAXLEN', entries - dropped)
    redis.call('LTRIM', K.packed, dropped, -1)
    redis.call('DECRBY', K.lines, records)
    write_wanted(wanted)
    more = more or dropped == MOST
  end
end

-- Records of single jobs that are past keeping.
local looked_at = 0
for _, job in ipairs(redis.call('ZRANGE', K['kept-until'], '-inf', int(t), 'BYSCORE', 'LIMIT', 0, 100)) do
  if looked_at >= MOST then
    more = true
    break
  end
  local looked, is_more = trim_kept(job, t, MOST - looked_at)
  looked_at = looked_at + looked + 1
  more = more or is_more
end

-- Definitions that were kept for runs in flight: `<version> <job>`.
if redis.call('EXISTS', K.old) == 1 then
  local unused = {}
  for _, field in ipairs(redis.call('HRANDFIELD', K.old, 100)) do
    if not redis.call('HGET', K.busy, string.match(field, '^%d+ (.*)$') or '') then
      unused[#unused + 1] = field
    end
  end
  if #unused > 0 then
    redis.call('HDEL', K.old, unpack(unused))
  end
end
-- Unique keys whose time is over.
local free = past(K['unique-until'], 0)
if #free > 0 then
  redis.call('ZREM', K['unique-until'], unpack(free))
  redis.call('HDEL', K.unique, unpack(free))
end
-- Failed runs: those that are too old, and the oldest where there are too many.
local failed = past(K.failed, tonumber(ARGV[7]))
local beyond = redis.call('ZCARD', K.failed) - tonumber(ARGV[6])
if beyond > #failed then
  failed = redis.call('ZRANGE', K.failed, 0, math.min(beyond, MOST) - 1)
  more = more or #failed == MOST
end
if #failed > 0 then
  redis.call('ZREM', K.failed, unpack(failed))
  redis.call('HDEL', K.failures, unpack(failed))
end
return more and 2 or 1
