-- Who follows whom: `followers` holds a line for each job that follows another,
-- `<since> <success|failure|any> <job>`; since is where history ended when it began to.

-- Where history ends. Looked up once per call: the answer holds a whole entry.
local history_end
local function end_of_history()
  if not history_end then
    local last = redis.call('XREVRANGE', K.history, '+', '-', 'COUNT', 1)
    history_end = last[1] and last[1][1] or '0-0'
  end
  return history_end
end

-- Whether `job` would follow itself if it followed `after`. `changed` holds the lines that the call
-- will write, false for those that it takes away.
local function closes_circle(job, after, changed)
  local at = after
  for _ = 1, 100 do
    if at == job then
      return true
    end
    local line = changed[at]
    if line == nil then
      line = redis.call('HGET', K.followers, at)
    end
    at = line and string.match(line, '^%S+ %S+ (.*)$')
    if not at then
      return false
    end
  end
  return true
end

-- The line of a job that follows as `wish` says, `<success|failure|any> <job>`: as it is where it
-- says so already.
local function follower_line(job, wish)
  local line = redis.call('HGET', K.followers, job)
  if line and string.match(line, '^%S+ (.*)$') == wish then
    return line
  end
  return end_of_history() .. ' ' .. wish
end
