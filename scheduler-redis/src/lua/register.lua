-- Begins a session.
-- KEYS: nodes beats ranks session seq dead
-- ARGV: session, ttl ms, info (JSON)
-- Answers: now. Asked again: now; a session that was declared dead stays dead.
local session, ttl = ARGV[1], tonumber(ARGV[2])
local t = now()
if redis.call('ZSCORE', K.nodes, session) or redis.call('ZSCORE', K.dead, session) then
  return t
end
go_on_when_full(K.nodes)
redis.call('HSET', K.session, 'info', ARGV[3], 'since', int(t), 'running', 0)
redis.call('ZADD', K.nodes, int(t + ttl), session)
redis.call('HSET', K.beats, session, '0 ' .. ARGV[2])
redis.call('ZADD', K.ranks, int(take_numbers(1, 0)), session)
return t
