-- Tells how much of a job's history is kept, for who reads it.
-- KEYS: keeping
-- ARGV: job
-- Answers: what its policy says (see _keeping.lua) or "", the clock.
return { redis.call('HGET', K.keeping, ARGV[1]) or '', int(now()) }
