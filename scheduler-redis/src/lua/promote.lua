-- Moves runs whose waiting time is over to their ready queues.
-- KEYS: leader beat retry, then (ready, wake) of each queue
-- ARGV: token, queues, items (at most 200), then per item: member, not before, queue index, text
-- Answers: 1; or 0 where the lease was lost. Asked again: what was moved is not moved again.
if held_lease() ~= ARGV[1] then
  return 0
end
local t = now()
go_on_when_full(K.retry)
local queues, count, FIRST, ARGS = tonumber(ARGV[2]), tonumber(ARGV[3]), 4, 4
local members = {}
for i = 1, count do
  members[i] = ARGV[FIRST + (i - 1) * ARGS]
end
local scores = count > 0 and redis.call('ZMSCORE', K.retry, unpack(members)) or {}
local ready, moved, seen = {}, {}, {}
for i = 1, queues do
  ready[i] = {}
end
for i = 1, count do
  local at = FIRST + (i - 1) * ARGS
  if not seen[members[i]] and scores[i] and tonumber(scores[i]) == tonumber(ARGV[at + 1]) and tonumber(scores[i]) <= t then
    local list = ready[tonumber(ARGV[at + 2])]
    list[#list + 1] = ARGV[at + 3]
    moved[#moved + 1] = members[i]
    seen[members[i]] = true
  end
end
for i = 1, queues do
  if #ready[i] > 0 then
    variadic('RPUSH', KEYS[TAIL + 2 * i - 1], ready[i], 1)
    wake(KEYS[TAIL + 2 * i], #ready[i])
  end
end
if #moved > 0 then
  variadic('ZREM', K.retry, moved, 1)
end
redis.call('INCR', K.beat)
return 1
