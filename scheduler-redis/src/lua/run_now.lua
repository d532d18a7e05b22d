-- Makes a run of a job now.
-- KEYS: versions busy requests replies old seq followers wake-leader, then (high, ready, low, wake) of its queue
-- ARGV: request, job, version, max instances, run, list, record of its own definition or "", how many
--   more may be lined up
-- Answers: "made", "conflict", or "full <runs in flight>". The same request asked again: the same.
local request, job, run, list = ARGV[1], ARGV[2], ARGV[5], tonumber(ARGV[6])
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local busy = redis.call('HGET', K.busy, job)
local in_flight, at_once, more = count_words(busy), tonumber(ARGV[4]), tonumber(ARGV[8])
local word = string.sub(run, #job + 1)
local words = ' ' .. (busy or '') .. ' '
local is_there = string.find(words, ' ' .. word .. ' ', 1, true)
  or string.find(words, ' ~' .. word .. ' ', 1, true)
if is_there then
  reply = 'made'
elseif redis.call('HGET', K.versions, job) ~= ARGV[3] then
  reply = 'conflict'
elseif in_flight >= at_once + more then
  reply = 'full ' .. in_flight
else
  reply = 'made'
end
if reply == 'made' and not is_there then
  -- Growing writes first: on a full Redis the request is refused as a whole.
  local version = '-'
  if ARGV[7] ~= '' then
    version = int(take_numbers(1, 0))
    redis.call('HSET', K.old, version .. ' ' .. job, ARGV[7])
  end
  if more > 0 and (in_flight >= at_once or count_lined_up(busy) > 0) then
    word = '~' .. word
  else
    redis.call('RPUSH', list_key(list), '1 ' .. version .. ' 0 ' .. run)
    wake(list, 1)
  end
  redis.call('HSET', K.busy, job, busy and (busy .. ' ' .. word) or word)
  if redis.call('EXISTS', K.followers) == 1 then
    redis.call('ZADD', K['wake-leader'], 0, 1)
  end
end
redis.call('HSET', K.replies, request, reply)
redis.call('ZADD', K.requests, int(t), request)
return reply
