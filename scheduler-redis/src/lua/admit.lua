-- Lets runs go that were lined up behind others of their job, as far as it has room.
-- KEYS: leader beat versions busy openings, then (high, ready, low, wake) of each queue
-- ARGV: token, items (at most 200), then per item: job, version or 0, max instances, list
-- Answers: 1; or 0 where the lease was lost. Asked again: only what there is room for.
if held_lease() ~= ARGV[1] then
  return 0
end
go_on_when_full(K.openings)
local count, FIRST, ARGS = tonumber(ARGV[2]), 3, 4
local jobs = {}
for i = 1, count do
  jobs[i] = ARGV[FIRST + (i - 1) * ARGS]
end
local versions, busies, open = {}, {}, {}
if count > 0 then
  versions = redis.call('HMGET', K.versions, unpack(jobs))
  busies = redis.call('HMGET', K.busy, unpack(jobs))
  open = redis.call('ZMSCORE', K.openings, unpack(jobs))
end
local ready, busy, closed, seen = {}, {}, {}, {}
for i, job in ipairs(jobs) do
  local at = FIRST + (i - 1) * ARGS
  if open[i] and not seen[job] and (versions[i] or '0') == ARGV[at + 1] then
    seen[job] = true
    closed[#closed + 1] = job
    local at_work = count_words(busies[i]) - count_lined_up(busies[i])
    local room, list = tonumber(ARGV[at + 2]) - at_work, tonumber(ARGV[at + 3])
    local words, admitted = {}, false
    for word in string.gmatch(busies[i] or '', '%S+') do
      if room > 0 and string.sub(word, 1, 1) == '~' then
        word = string.sub(word, 2)
        room, admitted = room - 1, true
        ready[list] = ready[list] or {}
        table.insert(ready[list], '1 - 0 ' .. job .. word)
      end
      words[#words + 1] = word
    end
    if admitted then
      busy[#busy + 1] = job
      busy[#busy + 1] = table.concat(words, ' ')
    end
  end
end
for list, texts in pairs(ready) do
  variadic('RPUSH', list_key(list), texts, 1)
  wake(list, #texts)
end
if #busy > 0 then
  variadic('HSET', K.busy, busy, 2)
end
if #closed > 0 then
  variadic('ZREM', K.openings, closed, 1)
end
redis.call('INCR', K.beat)
return 1
