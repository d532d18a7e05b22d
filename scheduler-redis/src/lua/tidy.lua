-- Forgets what is past keeping, a bounded amount per call.
-- KEYS: leader beat requests replies gone fired versions history lines old busy
-- ARGV: token, records of history to keep, requests ms, fire times of removed jobs ms
-- Answers: 1; or 0 where the lease was lost.
if held_lease() ~= ARGV[1] then
  return 0
end
local t = now()
redis.call('INCR', K.beat)

local requests =
  redis.call('ZRANGE', K.requests, '-inf', int(t - tonumber(ARGV[3])), 'BYSCORE', 'LIMIT', 0, 500)
if #requests > 0 then
  redis.call('ZREM', K.requests, unpack(requests))
  redis.call('HDEL', K.replies, unpack(requests))
end

local gone =
  redis.call('ZRANGE', K.gone, '-inf', int(t - tonumber(ARGV[4])), 'BYSCORE', 'LIMIT', 0, 500)
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
    redis.call('HDEL', K.fired, unpack(forget))
  end
end

local excess = tonumber(redis.call('GET', K.lines) or '0') - tonumber(ARGV[2])
if excess > 0 then
  local removed, last = 0, nil
  for _, entry in ipairs(redis.call('XRANGE', K.history, '-', '+', 'COUNT', 500)) do
    local n = tonumber(entry[2][2]) or 1
    if removed + n > excess then
      break
    end
    removed, last = removed + n, entry[1]
  end
  if last then
    local ms, seq = string.match(last, '^(%d+)-(%d+)$')
    redis.call('XTRIM', K.history, 'MINID', ms .. '-' .. int(tonumber(seq) + 1))
    redis.call('DECRBY', K.lines, removed)
  end
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
return 1
