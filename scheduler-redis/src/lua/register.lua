-- Begins a session.
-- KEYS: nodes beats ranks session seq dead meta
-- ARGV: session, ttl ms, info (JSON)
-- Answers: {now, generation, the session's number}. Asked again: the same; a session that was declared
--   dead stays dead.
local session, ttl = ARGV[1], tonumber(ARGV[2])
local t = now()
local generation = redis.call('HGET', K.meta, 'generation')
if not generation then
  return unattached()
end
if redis.call('ZSCORE', K.nodes, session) or redis.call('ZSCORE', K.dead, session) then
  return { t, tonumber(generation), tonumber(redis.call('HGET', K.session, 'number') or '0') }
end
go_on_when_full(K.nodes)
local number = take_numbers(1, 0)
redis.call('HSET', K.session, 'info', ARGV[3], 'since', int(t), 'running', 0, 'number', int(number),
  'generation', generation)
redis.call('ZADD', K.nodes, int(t + ttl), session)
redis.call('HSET', K.beats, session, '0 ' .. ARGV[2])
redis.call('ZADD', K.ranks, int(number), session)
return { t, tonumber(generation), number }
