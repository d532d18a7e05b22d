-- Removes a job if it still is as it was read.
-- KEYS: due fired versions busy old finished gone parked resume requests replies history lines packed events
--   openings cancelled unique unique-until followers jobs, then the job
-- ARGV: request, then the removal (see _removal.lua)
-- Answers: the removed version, or "conflict". The same request asked again: the same.
local request = ARGV[1]
local reply = redis.call('HGET', K.replies, request)
if reply then
  return reply
end
local t = now()
local removal = read_removal(2, KEYS[TAIL + 1], t)
reply = removal and removal.version or 'conflict'
if removal then
  write_removal(removal, t)
end
redis.call('HSET', K.replies, request, reply)
redis.call('ZADD', K.requests, int(t), request)
return reply
