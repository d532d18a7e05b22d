-- Changes what a queue, or the namespace, keeps to.
-- KEYS: gates inuse buckets queues requests replies, then (high, ready, low, wake) of each queue
-- ARGV: request, queue or "*", "limit", "unlimit", "pause" or "resume"; for "limit": concurrency or
--   "-", runs or "-", per ms or "-", "config" or "operator"; for "pause": note (JSON)
-- Answers: "done", "already" or "kept". The same request asked again: the same.
local request, name, what = ARGV[1], ARGV[2], ARGV[3]
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local line = redis.call('HGET', K.gates, name)
-- <state> <concurrency> <runs> <per ms> <set by> <since> <note>
local state, most, runs, per, by, since, note =
  string.match(line or '', '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
if not state then
  state, most, runs, per, by, since, note = 'open', '-', '-', '-', '-', '-', '-'
end
local rate, as_before = runs .. ' ' .. per, table.concat({ state, most, runs, per, by }, ' ')
if what == 'limit' then
  if by == 'operator' and ARGV[7] == 'config' then
    reply = 'kept'
  else
    most, runs, per, by = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  end
elseif what == 'unlimit' then
  most, runs, per, by = '-', '-', '-', '-'
elseif what == 'pause' and state == 'open' then
  state, since, note = 'paused', int(t), ARGV[4]
elseif what == 'resume' then
  state, since, note = 'open', '-', '-'
end
local after = table.concat({ state, most, runs, per, by }, ' ')
reply = reply or (after == as_before and 'already' or 'done')
local waiting = 0
for list = 1, #KEYS - TAIL do
  waiting = waiting + (list % 4 ~= 0 and redis.call('LLEN', list_key(list)) or 0)
end

-- Whoever is told that it was done must find it done; a full Redis refuses it as a whole.
redis.call('HSET', K.replies, request, reply)
redis.call('ZADD', K.requests, int(t), request)
if reply == 'done' then
  if after == 'open - - - -' then
    redis.call('HDEL', K.gates, name)
  else
    redis.call('HSET', K.gates, name, after .. ' ' .. since .. ' ' .. note)
  end
  if runs .. ' ' .. per ~= rate then
    redis.call('HDEL', K.buckets, name)
  end
  if name ~= '*' then
    redis.call('SADD', K.queues, name)
    offer(read_gates(t, {}), 1, waiting)
  end
end
return reply
