-- Gives the lease back, and wakes two standbys.
-- KEYS: leader wake-lease
-- ARGV: token
-- Answers: 1, or 0 where it was not the caller's (any more).
if held_lease() ~= ARGV[1] then
  return 0
end
redis.call('DEL', K.leader)
redis.call('ZADD', K['wake-lease'], 0, 1, 0, 2)
return 1
