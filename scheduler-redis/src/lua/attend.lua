-- The lease's holder announces that its subscription stands: from now on its absence can be told.
-- KEYS: leader attended
-- ARGV: token
-- Answers: 1; or 0 where the lease is not the caller's (any more). Asked again: the same.
if held_lease() ~= ARGV[1] then
  return 0
end
redis.call('SET', K.attended, ARGV[1])
return 1
