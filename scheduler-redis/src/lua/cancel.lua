-- Cancels a run in flight: one that waits for its next attempt ends, any other is marked.
-- KEYS: busy cancelled retry requests replies finished history lines packed events openings
--   wake-leader
-- ARGV: request, run, job, reason, the member of the retry queue that the run was seen as or ""
-- Answers: "ended", "marked", or "over" where no such run is in flight. The same request asked again:
--   the same.
local request, run, job, member = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local busy = redis.call('HGET', K.busy, job)
local word, in_flight = string.sub(run, #job + 1), false
for each in string.gmatch(busy or '', '%S+') do
  in_flight = in_flight or each == word or each == '~' .. word
end
local waits = member ~= '' and redis.call('ZSCORE', K.retry, member)
local queue, attempt = string.match(member, '^(%S+) %l (%d+) ')
if not queue then
  queue, attempt = string.match(member, '^(%S+) (%d+) ')
end
local reason = redis.call('HGET', K.cancelled, run) or ARGV[4]
local record = in_flight and waits and cancelled_record(run, attempt, queue, reason)
redis.call('XLEN', K.history)

go_on_when_full(K.requests)
if not in_flight then
  reply = 'over'
elseif record then
  reply = 'ended'
  local s = { busy = { [job] = busy } }
  redis.call('ZREM', K.retry, member)
  redis.call('HDEL', K.cancelled, run)
  free(s, job, run)
  write_busy(s, t)
  write_history({ record }, t)
else
  reply = 'marked'
  redis.call('HSETNX', K.cancelled, run, ARGV[4])
end
redis.call('HSET', K.replies, request, reply)
redis.call('ZADD', K.requests, int(t), request)
return reply
