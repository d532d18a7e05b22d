-- Writes down who did what.
-- KEYS: audit requests replies
-- ARGV: request, how many deeds are kept, then a line (JSON) of each deed (at most 100)
-- Answers: 1. The same request asked again: nothing more happens.
local request, kept, FIRST = ARGV[1], tonumber(ARGV[2]), 3
if redis.call('HGET', K.replies, request) then
  return 1
end
local t = now()
redis.call('XLEN', K.audit)

-- Who frees memory is to be known, too: a full Redis takes it.
go_on_when_full(K.requests)
redis.call('XTRIM', K.audit, 'MAXLEN', int(math.max(0, kept - (#ARGV - FIRST + 1))))
for at = FIRST, #ARGV do
  redis.call('XADD', K.audit, '*', 'at', int(t), 'deed', ARGV[at])
end
redis.call('HSET', K.replies, request, '1')
redis.call('ZADD', K.requests, int(t), request)
return 1
