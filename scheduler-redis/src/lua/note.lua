-- Keeps notes of attempts with their runs, for a while.
-- KEYS: nodes, then the notes of each run
-- ARGV: session, keep ms, items (at most 100), then per item: attempt, fence, number, notes (JSON),
--   the attempt whose notes are dropped or ""
-- Answers: 1; or "gone". Asked again, or overtaken by later ones: nothing happens.
local session, keep, count, FIRST, ARGS = ARGV[1], ARGV[2], tonumber(ARGV[3]), 4, 5
if not redis.call('ZSCORE', K.nodes, session) then
  return 'gone'
end
local written = {}
for i = 1, count do
  local at = FIRST + (i - 1) * ARGS
  local before = redis.call('HGET', KEYS[TAIL + i], 'attempt:' .. ARGV[at])
  local fence, number = string.match(before or '', '^(%d+) (%d+) ')
  fence, number = tonumber(fence or '-1'), tonumber(number or '-1')
  local is_later = tonumber(ARGV[at + 1]) > fence
    or (tonumber(ARGV[at + 1]) == fence and tonumber(ARGV[at + 2]) > number)
  if is_later then
    written[#written + 1] = i
  end
end
for _, i in ipairs(written) do
  local at, key = FIRST + (i - 1) * ARGS, KEYS[TAIL + i]
  local value = ARGV[at + 1] .. ' ' .. ARGV[at + 2] .. ' ' .. ARGV[at + 3]
  redis.call('HSET', key, 'attempt:' .. ARGV[at], value)
  if ARGV[at + 4] ~= '' then
    redis.call('HDEL', key, 'attempt:' .. ARGV[at + 4])
  end
  redis.call('PEXPIRE', key, keep)
end
return 1
