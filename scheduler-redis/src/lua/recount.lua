-- Counts claims by queue anew, where the count cannot be right.
-- KEYS: leader inuse nodes dead, then the claims of each session
-- ARGV: token of the leader; or "", and then it counts also where the sum seems right
-- Answers: 1; or 0 where the lease was lost. Asked again: the same.
local MOST = 10000
if ARGV[1] ~= '' and held_lease() ~= ARGV[1] then
  return 0
end
local sessions = #KEYS - TAIL
if redis.call('ZCARD', K.nodes) + redis.call('ZCARD', K.dead) ~= sessions then
  -- Somebody came or went meanwhile: the next time will do.
  return 1
end
local held, counted = 0, 0
for i = 1, sessions do
  held = held + redis.call('HLEN', KEYS[TAIL + i])
end
local wrong = false
for _, count in ipairs(redis.call('HVALS', K.inuse)) do
  counted = counted + (tonumber(count) or 0)
  wrong = wrong or not tonumber(count) or tonumber(count) < 0
end
if (counted == held and not wrong and ARGV[1] ~= '') or held > MOST then
  return 1
end
local inuse = {}
for i = 1, sessions do
  for _, claim in ipairs(redis.call('HVALS', KEYS[TAIL + i])) do
    local queue = string.match(claim, '^%S+ %S+ %S+ %S+ (%S+)')
    if queue then
      inuse[queue] = (inuse[queue] or 0) + 1
    end
  end
end
local fields = {}
for queue, count in pairs(inuse) do
  fields[#fields + 1] = queue
  fields[#fields + 1] = count
end
redis.call('DEL', K.inuse)
if #fields > 0 then
  variadic('HSET', K.inuse, fields, 2)
end
return 1
