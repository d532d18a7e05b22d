-- Makes a run of a job now.
-- KEYS: versions busy requests replies, then (high, ready, low, wake) of its queue
-- ARGV: request, job, version, max instances, run, list
-- Answers: "made", "conflict", or "full <runs in flight>". The same request asked again: the same.
local request, job, run, list = ARGV[1], ARGV[2], ARGV[5], tonumber(ARGV[6])
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local busy = redis.call('HGET', K.busy, job)
local in_flight = count_words(busy)
if redis.call('HGET', K.versions, job) ~= ARGV[3] then
  reply = 'conflict'
elseif in_flight >= tonumber(ARGV[4]) then
  reply = 'full ' .. in_flight
else
  reply = 'made'
end
if reply == 'made' then
  redis.call('RPUSH', list_key(list), '1 - 0 ' .. run)
  local word = string.sub(run, #job + 1)
  redis.call('HSET', K.busy, job, busy and (busy .. ' ' .. word) or word)
  wake(list, 1)
end
redis.call('HSET', K.replies, request, reply)
redis.call('ZADD', K.requests, int(t), request)
return reply
