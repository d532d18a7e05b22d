-- Writes down that handlers of claimed runs are about to be called.
-- KEYS: nodes claims meta
-- ARGV: session, generation, claims (at most 500), then per claim: run, fence
-- Answers: the places (from 0) of claims that the session does not hold; or "gone"; or "behind" where the
--   shard is in another generation. Asked again: the same, and nothing happens.
if not takes_part(ARGV[2]) then
  return 'behind'
end
if not redis.call('ZSCORE', K.nodes, ARGV[1]) then
  return 'gone'
end
local count, FIRST = tonumber(ARGV[3]), 4
if count == 0 then
  return {}
end
local runs, stale, begun = {}, {}, {}
for i = 1, count do
  runs[i] = ARGV[FIRST + (i - 1) * 2]
end
for i, claim in ipairs(redis.call('HMGET', K.claims, unpack(runs))) do
  local fence = ARGV[FIRST + (i - 1) * 2 + 1] .. ' '
  if not claim or string.sub(claim, 1, #fence) ~= fence then
    stale[#stale + 1] = i - 1
  elseif string.sub(claim, -6) ~= ' begun' then
    begun[#begun + 1] = runs[i]
    begun[#begun + 1] = claim .. ' begun'
  end
end
go_on_when_full(K.nodes)
if #begun > 0 then
  variadic('HSET', K.claims, begun, 2)
end
return stale
