-- Remembers what a client's key was used for, and what that was answered.
-- KEYS: requests replies
-- ARGV: key, caller, fingerprint, "take", "keep" or "free", answer
-- Answers: {"yours" or "pending", since}, {"answered", answer} or {"other"}. Asked again by the same
--   caller: the same.
local key, caller, fingerprint = ARGV[1], ARGV[2], ARGV[3]
local t = int(now())
local known = redis.call('HGET', K.replies, key)
local by, what, since, answer = caller, fingerprint, t, ''
if known then
  by, what, since, answer = string.match(known, '^(%S+) (%S+) (%d+) ?(.*)$')
  if not by then
    return redis.error_reply('ERR the request id was used before, and answered ' .. known)
  end
end
if what ~= fingerprint then
  return {'other'}
elseif by ~= caller then
  if answer ~= '' then
    return {'answered', answer}
  end
  return {'pending', since}
end
if ARGV[4] == 'free' then
  redis.call('HDEL', K.replies, key)
  redis.call('ZREM', K.requests, key)
elseif ARGV[4] == 'keep' or not known then
  local text = by .. ' ' .. what .. ' ' .. since
  if ARGV[4] == 'keep' then
    text = text .. ' ' .. ARGV[5]
  end
  redis.call('HSET', K.replies, key, text)
  redis.call('ZADD', K.requests, since, key)
end
return {'yours', since}
