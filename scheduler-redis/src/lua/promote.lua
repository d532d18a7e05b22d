-- Moves runs whose waiting time is over to their ready queues.
-- KEYS: leader beat retry, then (high, ready, low, wake) of each queue
-- ARGV: token, items (at most 200), then per item: member, not before, list, text
-- Answers: 1; or 0 where the lease was lost. Asked again: what was moved is not moved again.
if held_lease() ~= ARGV[1] then
  return 0
end
local t = now()
go_on_when_full(K.retry)
local count, FIRST, ARGS = tonumber(ARGV[2]), 3, 4
local members = {}
for i = 1, count do
  members[i] = ARGV[FIRST + (i - 1) * ARGS]
end
local scores = count > 0 and redis.call('ZMSCORE', K.retry, unpack(members)) or {}
local ready, moved, seen = {}, {}, {}
for i = 1, count do
  local at = FIRST + (i - 1) * ARGS
  if not seen[members[i]] and scores[i] and tonumber(scores[i]) == tonumber(ARGV[at + 1]) and tonumber(scores[i]) <= t then
    local list = tonumber(ARGV[at + 2])
    ready[list] = ready[list] or {}
    table.insert(ready[list], ARGV[at + 3])
    moved[#moved + 1] = members[i]
    seen[members[i]] = true
  end
end
for list, texts in pairs(ready) do
  variadic('RPUSH', list_key(list), texts, 1)
  wake(list, #texts)
end
if #moved > 0 then
  variadic('ZREM', K.retry, moved, 1)
end
redis.call('INCR', K.beat)
return 1
