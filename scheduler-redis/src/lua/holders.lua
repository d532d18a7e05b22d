-- Who holds unique keys. Writes nothing.
-- KEYS: unique unique-until versions finished busy
-- ARGV: the keys (at most 500)
-- Answers: {job or "", until or "", ...}
local t, answer = now(), {}
for _, key in ipairs(ARGV) do
  local job = holder_of(key, t)
  answer[#answer + 1] = job or ''
  answer[#answer + 1] = job and redis.call('ZSCORE', K['unique-until'], key) or ''
end
return answer
