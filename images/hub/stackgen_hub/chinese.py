"""The Chinese of the hub's pages: the texts of our templates, and what JupyterHub and the logins say.

`%(name)s` stands for a value. A test compares PAGES with the templates, and MESSAGES with the programs that say them.
"""
# ruff: noqa: RUF001  (full-width punctuation is right in Chinese)

PAGES = {
    # every page
    "Home": "主页",
    "Tokens": "令牌",
    "Admin": "管理",
    "Password": "密码",
    "Sign-ups": "注册申请",
    "Logout": "退出",
    # login
    "Sign in": "登录",
    "Sign in with %(service)s": "用 %(service)s 登录",
    "Username:": "用户名：",
    "Password:": "密码：",
    "Show": "显示",
    "Hide": "隐藏",
    "Show the password": "显示密码",
    "Hide the password": "隐藏密码",
    "This connection is not encrypted: others may read your password. Please use an https address.":
        "此连接未加密，您的密码可能被他人读取。请使用 https 地址。",
    'By logging in you accept the <a href="%(url)s">terms and conditions</a>.':
        '登录即表示您接受<a href="%(url)s">使用条款</a>。',
    '<a href="%(url)s">Sign up</a> for an account. An admin then lets you in.':
        '<a href="%(url)s">注册</a>新账号，经管理员批准后即可登录。',
    # sign-up, and those who wait
    "Sign up": "注册",
    "Password (at least 8 characters):": "密码（至少 8 个字符）：",
    "Password again:": "再次输入密码：",
    'An admin lets you in. Then <a href="%(url)s">log in</a>.': '管理员批准后，您就可以<a href="%(url)s">登录</a>。',
    "They signed up, and cannot log in before you let them in. Anybody can type any name: make sure that you know who "
    "it is.": "以下用户已注册，经您批准后才能登录。任何人都可以填写任何名字，请先确认对方的身份。",
    "Let in": "批准",
    "Remove": "删除",
    "Nobody waits to be let in.": "没有等待批准的用户。",
    # one's password
    "Change password": "修改密码",
    "Present password:": "当前密码：",
    "New password (at least 8 characters):": "新密码（至少 8 个字符）：",
    "New password again:": "再次输入新密码：",
    "%(name)s has no password here. Please ask an admin.": "%(name)s 在这里没有密码，请联系管理员。",
    # tokens
    "A token lets a program of yours use the hub in your name. Whoever knows it can do the same: keep it to yourself.":
        "令牌让您的程序以您的名义使用本站。任何知道令牌的人都能这样做，请妥善保管。",
    "What is it for?": "用途：",
    "It expires in:": "有效期：",
    "Permissions (scopes of JupyterHub; if empty, all of yours):":
        "权限（JupyterHub 的 scope；不填则为您的全部权限）：",
    "Request a token": "申请令牌",
    "Copy your new token now; it is not shown again:": "请立即复制新令牌，它不会再次显示：",
    "Your tokens": "您的令牌",
    "Permissions": "权限",
    "Revoke": "撤销",
    "Last used:": "上次使用：",
    "Expires:": "到期：",
    "Since:": "开始于：",
    "never": "从未",
    "Where you are signed in": "您已登录的程序",
    "These programs, mostly your servers, know by the hub who you are.":
        "这些程序（主要是您的服务器）通过本站得知您的身份。",
    # home
    "Your server": "您的服务器",
    "It is running.": "正在运行。",
    "It is not running. Your files are kept.": "未在运行。您的文件都保留着。",
    "My Server": "进入服务器",
    "Start My Server": "启动服务器",
    "Stop My Server": "停止服务器",
    "Your server is stopping…": "服务器正在停止…",
    "That did not work. Please try again.": "操作未成功，请重试。",
    # a server that starts, stops, or does not run
    "Your server is starting": "服务器正在启动",
    "This page opens it by itself when it is ready.": "就绪后本页会自动打开服务器。",
    "Event log": "事件记录",
    "Stop": "停止",
    "Stopping…": "正在停止…",
    "Your server did not start": "服务器未能启动",
    "Your server is stopping": "服务器正在停止",
    "You can start it again as soon as it has stopped. This page looks again by itself.":
        "停止之后即可重新启动。本页会自动刷新。",
    "Refresh": "刷新",
    "Server not running": "服务器未在运行",
    "Your files are kept. Do you want to start the server?": "您的文件都保留着。要启动服务器吗？",
    "It starts again by itself. If this page stays for more than a few seconds, start it below.":
        "它会自动重新启动。如果几秒钟后仍停留在本页，请点击下面的按钮。",
    "Your files are kept. Do you want to try again?": "您的文件都保留着。要重试吗？",
    "Start the server": "启动服务器",
    "Try again": "重试",
    "Server options": "服务器选项",
    "For %(name)s": "用户：%(name)s",
    "Start": "启动",
    # errors, and the end
    "Error %(code)s": "错误 %(code)s",
    "There is nothing at this address, or nothing for you.": "此地址没有内容，或您无权查看。",
    "Successfully logged out.": "您已退出登录。",
}  # fmt: skip

MESSAGES = {
    # RFC 9110: what the status of an error is called
    "Bad Request": "请求有误",
    "Unauthorized": "未登录",
    "Forbidden": "无权访问",
    "Not Found": "找不到页面",
    "Method Not Allowed": "不支持此操作",
    "Conflict": "操作冲突",
    "Unprocessable Entity": "请求有误",
    "Too Many Requests": "请求过于频繁",
    "Internal Server Error": "服务器内部错误",
    "Bad Gateway": "服务器没有响应",
    "Service Unavailable": "服务暂时不可用",
    "Gateway Timeout": "服务器响应超时",
    # JupyterHub: logins
    "Invalid username or password": "用户名或密码错误",
    "Login form invalid or expired. Try again.": "登录页面已过期，请重试。",
    "Sorry, you are not currently authorized to use this hub. Please contact the hub administrator.":
        "您目前无权使用本站，请联系管理员。",
    "XSRF cookie does not match %(method)s argument": "页面已过期，请返回并刷新后重试。",
    "'_xsrf' argument missing from %(method)s": "页面已过期，请返回并刷新后重试。",
    # JupyterHub: servers
    "Server requested": "已请求启动服务器",
    "Spawning server...": "正在启动服务器…",
    "Server ready at %(url)s": "服务器已就绪：%(url)s",
    "Spawn cancelled": "启动已取消",
    "Spawn failed": "启动失败",
    "Spawn failed: %(reason)s": "启动失败：%(reason)s",
    "Active user limit exceeded. Try again in a few minutes.": "正在使用的人数已达上限，请几分钟后再试。",
    "Too many users trying to log in right now. Try again in %(time)s.": "现在登录的人太多，请稍后再试（%(time)s）。",
    "Failed to reach your server. Please try again later. Contact admin if the issue persists.":
        "无法连接您的服务器，请稍后再试。如果问题仍然存在，请联系管理员。",
    "Failed to start your server on the last attempt. Please contact admin if the issue persists.":
        "上次启动服务器失败。如果问题仍然存在，请联系管理员。",
    "Your server appears to be down. Try restarting it <a href='%(home)s'>from the hub</a>":
        "您的服务器似乎已停止，请到<a href='%(home)s'>主页</a>重新启动。",
    "You can try restarting your server from the <a href='%(home)s'>home page</a>.":
        "您可以到<a href='%(home)s'>主页</a>重新启动服务器。",
    "No access to resources or resources not found": "没有此内容，或您无权查看。",
    # JupyterHub: tokens
    "1 Hour": "1 小时",
    "1 Day": "1 天",
    "1 Week": "1 周",
    "1 Month": "1 个月",
    "1 Year": "1 年",
    "Never": "永不过期",
    # accounts and passwords
    "Too many wrong passwords. Please try again in %(minutes)s minutes.":
        "密码错误次数过多，请 %(minutes)s 分钟后再试。",
    "Your account waits for an admin, who has to let you in.": "您的账号正在等待管理员批准。",
    "%(name)s is blocked on this hub. Please ask an admin.": "用户 %(name)s 已被停用，请联系管理员。",
    "Your password has been changed.": "密码已修改。",
    "That is not your present password.": "当前密码不正确。",
    "The two new passwords differ.": "两次输入的新密码不一致。",
    "Please choose another one: %(reason)s.": "请换一个密码：%(reason)s。",
    "the password is shorter than %(count)s characters": "密码少于 %(count)s 个字符",
    "the password holds a character that cannot be printed": "密码含有无法显示的字符",
    "the password is longer than %(count)s bytes": "密码超过 %(count)s 个字节",
    "the password is one of the most common ones": "这个密码太常见",
    # signing up
    "Your information has been sent to the admin.": "注册信息已提交给管理员。",
    "Your password did not match the confirmation. Please try again.": "两次输入的密码不一致，请重试。",
    "Something went wrong! It appears that this username is already in use. Please try again with a "
    "different username.": "此用户名已被使用，请换一个。",
    "Something went wrong! Be sure your username does not contain spaces, commas or slashes, your password has at "
    "least %(count)s characters and is not too common.":
        "注册未成功：用户名不能含有空格、逗号或斜线，密码至少 %(count)s 个字符且不能太常见。",
    # providers and directories
    "The user name %(name)s belongs to somebody else here. Please ask an admin for another one.":
        "用户名 %(name)s 在本站属于另一个人，请联系管理员更换。",
    "%(service)s does not say that %(address)s was verified as your address.":
        "%(service)s 未确认 %(address)s 是您的邮箱地址。",
    "Your login has expired. Please log in again.": "登录已过期，请重新登录。",
    "Your account belongs to an organization that may not use this hub.": "您的账号所属的组织无权使用本站。",
    "The directory does not answer at the moment. Please try again in some minutes.":
        "目录服务暂时没有响应，请几分钟后再试。",
    "%(service)s does not answer at the moment. Whoever is logged in can go on working; please try again in some "
    "minutes.": "%(service)s 暂时没有响应。已登录的用户可以继续工作；请几分钟后再试。",
    "%(service)s does not accept this hub (%(name)s).": "%(service)s 不接受本站（%(name)s）。",
    "The login took too long or was used before. Please log in again.": "登录超时或已被使用，请重新登录。",
    "%(service)s did not tell who you are (it answered %(code)s). Please log in again.":
        "%(service)s 没有告知您的身份（返回 %(code)s），请重新登录。",
    "%(service)s did not tell your user name. Please tell the administrator of this hub.":
        "%(service)s 没有告知您的用户名，请告知本站管理员。",
    "What %(service)s says about you could not be verified: %(reason)s. Please log in again.":
        "%(service)s 提供的身份信息无法验证（%(reason)s），请重新登录。",
    "You may no longer use this hub.": "您已无权使用本站。",
    "%(service)s no longer accepts your login.": "%(service)s 不再接受您的登录。",
    "%(service)s knows you as somebody else now.": "%(service)s 现在把您当作另一个人。",
    "%(service)s answered about somebody else.": "%(service)s 返回了另一个人的信息。",
    "%(message)s Please tell the administrator of this hub.": "%(message)s请告知本站管理员。",
}  # fmt: skip
