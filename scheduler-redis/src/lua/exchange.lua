-- Hands in settled runs and claims new ones.
-- KEYS: nodes session claims busy versions seq retry finished history lines events parked, then
--   (ready, wake) of each queue, those to claim from first
-- ARGV: session, lane, request, floor, queues to claim from, limit (at most 500),
--   settled runs (at most 500), then these (see _settle.lua)
-- Answers: one text: "<stale> <claims>", then a line for each stale run, then one for each claim
--   (`<fence> <version> <attempt> <losses> <queue> <run>`); or "gone"; or "superseded".
--   The lane's last request asked again: the same text, and nothing happens.
local session, lane, request = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sources, limit, count = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if not redis.call('ZSCORE', K.nodes, session) then
  return 'gone'
end
local before = redis.call('HMGET', K.session, 'request:' .. lane, 'reply:' .. lane)
if before[1] then
  if tonumber(before[1]) == request then
    return before[2] or 'superseded'
  elseif tonumber(before[1]) > request then
    return 'superseded'
  end
end
local t = now()
local s = read_settled(8, count)

-- Look at the heads of the queues; take them when all is decided.
local taken, claims, unreadable, unbound = {}, {}, {}, {}
for i = 1, sources do
  local texts = {}
  if limit > 0 then
    texts = redis.call('LRANGE', KEYS[TAIL + 2 * i - 1], 0, limit - 1)
  end
  taken[i] = #texts
  limit = limit - #texts
  local queue = string.match(KEYS[TAIL + 2 * i - 1], '}:ready:(.*)$')
  for _, text in ipairs(texts) do
    local attempt, version, losses, run = string.match(text, '^(%d+) (%S+) (%d+) (.+)$')
    local job = run and string.match(run, '^(.*)[@!]')
    if not job then
      unreadable[#unreadable + 1] = int(t)
      unreadable[#unreadable + 1] = text
    else
      claims[#claims + 1] =
        { run = run, job = job, attempt = attempt, version = version, losses = losses, queue = queue }
      if version == '-' then
        unbound[#unbound + 1] = job
      end
    end
  end
end
-- A run is bound to its job's definition at its first claim; without a job it ends as removed.
local current, removed = {}, {}
if #unbound > 0 then
  local versions = redis.call('HMGET', K.versions, unpack(unbound))
  for i, job in ipairs(unbound) do
    current[job] = versions[i]
  end
  local kept = {}
  for _, claim in ipairs(claims) do
    if claim.version == '-' then
      claim.version = current[claim.job]
    end
    if claim.version then
      kept[#kept + 1] = claim
    else
      removed[#removed + 1] = claim
      s.lines[#s.lines + 1] = '{"run":' .. cjson.encode(claim.run) .. ',"outcome":"removed","attempt":'
        .. claim.attempt .. ',"queue":' .. cjson.encode(claim.queue)
        .. ',"detail":"the job was removed before the run was begun"}'
      if s.busy[claim.job] == nil then
        s.busy[claim.job] = redis.call('HGET', K.busy, claim.job)
      end
    end
  end
  claims = kept
end

write_settled(s, t)
for i = 1, sources do
  if taken[i] > 0 then
    redis.call('LPOP', KEYS[TAIL + 2 * i - 1], taken[i])
  end
end
for _, claim in ipairs(removed) do
  free(s, claim.job, claim.run)
end
write_busy(s, t)
local reply = { #s.stale .. ' ' .. #claims }
for _, run in ipairs(s.stale) do
  reply[#reply + 1] = run
end
if #claims > 0 then
  local fence = take_numbers(#claims, tonumber(ARGV[4]))
  local held = {}
  for i, claim in ipairs(claims) do
    local value = int(fence + i - 1) .. ' ' .. claim.version .. ' ' .. claim.attempt .. ' '
      .. claim.losses .. ' ' .. claim.queue
    held[#held + 1] = claim.run
    held[#held + 1] = value
    reply[#reply + 1] = value .. ' ' .. claim.run
  end
  variadic('HSET', K.claims, held, 2)
end
if #unreadable > 0 then
  variadic('ZADD', K.parked, unreadable, 2)
end
-- Whoever wakes claims what it has slots for, and leaves a marker if runs are left.
for i = 1, sources do
  if taken[i] > 0 then
    local waiting = redis.call('LLEN', KEYS[TAIL + 2 * i - 1])
    if waiting > 0 then
      wake(KEYS[TAIL + 2 * i], waiting)
    end
  end
end
write_history(s.lines)
local text = table.concat(reply, '\n')
redis.call('HSET', K.session, 'request:' .. lane, ARGV[3], 'reply:' .. lane, text)
return text
